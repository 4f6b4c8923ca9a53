"""The activations of the course by name, as functions of a tensor.

A leaf: it imports nothing of ours, so that theory and specimens can share the
functions themselves without sharing anything that is derived from them.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = str | Callable[[Tensor], Tensor]


def _scaled_sigmoid(x: Tensor) -> Tensor:
    return 4 * torch.sigmoid(x) - 2


def _linear(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": _linear,
    "sigmoid": torch.sigmoid,
    "scaled_sigmoid": _scaled_sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": torch.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
}


def activation(phi: Activation) -> Callable[[Tensor], Tensor]:
    """The function that `phi` names, or `phi` itself where it is a function.

    Raises:
        ValueError: the name is not in `ACTIVATIONS`.
        TypeError: `phi` is neither a name nor callable.

    >>> activation("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if isinstance(phi, str):
        if phi not in ACTIVATIONS:
            raise ValueError(
                f"phi must be one of {', '.join(ACTIVATIONS)}, got {phi!r}: "
                "pass one of these names, or any element-wise function of a tensor"
            )
        return ACTIVATIONS[phi]
    if not callable(phi):
        raise TypeError(
            f"phi must be a name or an element-wise function, got {type(phi).__name__}: "
            f"pass one of {', '.join(ACTIVATIONS)}, or a function of a tensor"
        )
    return phi
