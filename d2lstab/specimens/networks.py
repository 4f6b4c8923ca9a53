"""Multilayer perceptrons whose every choice is named: what the course experiments on.

Weights are drawn by `torch.nn.init` alone, so that a specimen shares no formula
with the theory that predicts it.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import init as torch_init

from d2lstab.arguments import (
    choice,
    floating_dtype,
    non_negative_number,
    positive_number,
    random_generator,
)
from d2lstab.arguments import widths as checked_widths
from d2lstab.elementwise import Activation, activation

__all__ = ["INITIALIZATIONS", "Elementwise", "Initialization", "ResidualBlock", "Sum", "mlp"]

Initialization = str | float | Callable[[Tensor, torch.Generator], None]

INITIALIZATIONS: dict[str, Callable[[Tensor, float, torch.Generator], object]] = {
    "default": lambda w, _, g: torch_init.kaiming_uniform_(w, a=math.sqrt(5), generator=g),
    "xavier_normal": lambda w, gain, g: torch_init.xavier_normal_(w, gain, generator=g),
    "xavier_uniform": lambda w, gain, g: torch_init.xavier_uniform_(w, gain, generator=g),
    "he_normal": lambda w, _, g: torch_init.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "he_uniform": lambda w, _, g: torch_init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "lecun_normal": lambda w, _, g: torch_init.kaiming_normal_(
        w, nonlinearity="linear", generator=g
    ),
    "orthogonal": lambda w, gain, g: torch_init.orthogonal_(w, gain, generator=g),
}
_WITH_GAIN = ("xavier_normal", "xavier_uniform", "orthogonal")


class Elementwise(nn.Module):
    """An activation as a module, so that hooks see it: `phi` is a name or a function."""

    elementwise = True  # says that output i depends on input i alone

    def __init__(self, phi: Activation) -> None:
        super().__init__()
        self.function = activation(phi)
        self.label = phi if isinstance(phi, str) else getattr(phi, "__name__", "phi")

    def forward(self, x: Tensor) -> Tensor:
        """Return phi(x)."""
        return self.function(x)

    def extra_repr(self) -> str:
        """Return the activation's name, for `print(model)`."""
        return self.label


class _Undrawn(nn.Linear):
    """`nn.Linear` that leaves its parameters to the caller, and torch's generator alone."""

    def reset_parameters(self) -> None:
        """Draw nothing."""


class Sum(nn.Module):
    """Addition as a module, so that hooks see what flows from block to block."""

    def forward(self, h: Tensor, branch: Tensor) -> Tensor:
        """Return h + branch."""
        return h + branch


class ResidualBlock(nn.Module):
    """h + scale * branch(h): a sum in place of a product."""

    def __init__(self, branch: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.branch = branch
        self.scale = scale
        self.sum = Sum()

    def forward(self, h: Tensor) -> Tensor:
        """Return h + scale * branch(h)."""
        h = self.sum(h, self.scale * self.branch(h))
        return h

    def extra_repr(self) -> str:
        """Return the branch scale, for `print(model)`."""
        return f"scale={self.scale:g}"


def mlp(
    widths: Iterable[int],
    phi: Activation,
    *,
    generator: torch.Generator,
    init: Initialization = "default",
    gain: float = 1.0,
    bias: bool = True,
    norm: str | None = None,
    norm_position: str = "before",
    residual: bool | float = False,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """A multilayer perceptron with chosen widths, activation and initialization.

    z_1 = W_1 x + b_1;  z_l = W_l phi(z_{l-1}) + b_l, or with `residual`
    z_l = z_{l-1} + scale * (W_l phi(z_{l-1}) + b_l) for the layers between the first and the last.

    Args:
        widths: units of the input and of every layer, `[64, 100, 10]` for two layers.
        phi: the activation after every layer but the last; a name or a function of a tensor.
        generator: draws the weights; the network is built on its device. The global
            generator of torch is not used.
        init: a name in `INITIALIZATIONS`; or a number, the *standard deviation* of
            N(0, std**2); or a function `(weight, generator)` that fills the weight in place.
        gain: multiplies the weights of "xavier_normal", "xavier_uniform" and "orthogonal".
        bias: with biases, 0 at the start; "default" draws them as `torch.nn.Linear` does.
        norm: "batch", "layer" or None: normalization of every hidden layer.
        norm_position: "before" or "after" the activation.
        residual: True or a positive branch scale.
        dtype: of the parameters.

    Returns:
        A `torch.nn.Sequential` with children `linear1`, `relu1`, `linear2`, ...; residual
        layers are `block2`, `block3`, ..., each with a `branch` and a `sum`.

    Raises:
        ValueError: a width below 1, an unknown name, a negative std, a gain where it has no
            effect, or `residual` without two hidden layers of one common width.
        TypeError: an argument of the wrong type.

    Source: He et al. (2016), "Identity mappings in deep residual networks", for the order
        normalization, activation, weights within a residual branch.

    >>> net = mlp([4, 3, 2], "relu", generator=torch.Generator().manual_seed(0))
    >>> [name for name, _ in net.named_children()]
    ['linear1', 'relu1', 'linear2']
    """
    sizes = checked_widths(widths, advice="list the inputs, then the units of every layer")
    random_generator(generator)
    scale = _branch_scale(residual, sizes)
    _check(init, gain, norm, norm_position)
    if not isinstance(bias, bool):
        raise TypeError(f"bias must be True or False, got {bias!r}: pass a bool")
    floating_dtype(dtype)
    label = _child_name(Elementwise(phi).label)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        between: OrderedDict[str, nn.Module] = OrderedDict()
        if i > 1:
            between[f"{label}{i - 1}"] = Elementwise(phi)
            if norm is not None:
                between[f"{norm}_norm{i - 1}"] = _norm(norm, fan_in, generator.device, dtype)
                between.move_to_end(f"{norm}_norm{i - 1}", last=norm_position == "after")
        between[f"linear{i}"] = _linear(fan_in, fan_out, bias, init, gain, generator, dtype)
        if scale is not None and 1 < i < len(sizes) - 1:
            layers[f"block{i}"] = ResidualBlock(nn.Sequential(between), scale)
        else:
            layers.update(between)
    return nn.Sequential(layers)


def _check(init: Initialization, gain: float, norm: str | None, norm_position: str) -> None:
    advice = "pass one of these names, a standard deviation, or a function (weight, generator)"
    if isinstance(init, str):
        choice(init, "init", INITIALIZATIONS, advice)
    elif not callable(init):
        non_negative_number(init, "init", advice)
    if positive_number(gain, "gain", "pass 1.0 for none") != 1 and init not in _WITH_GAIN:
        raise ValueError(
            f"gain must be 1 with init={init!r}, got {gain!r}: "
            f"choose one of {', '.join(_WITH_GAIN)}, or pass a standard deviation as init"
        )
    if norm is not None:
        choice(norm, "norm", ("batch", "layer"), "pass None for no normalization")
    choice(norm_position, "norm_position", ("before", "after"))


def _child_name(label: str) -> str:
    if label == "linear":
        return "identity"  # "linear1" is the layer before it
    return (
        label
        if label.isidentifier() and label not in ("block", "batch_norm", "layer_norm")
        else "phi"
    )


def _branch_scale(residual: bool | float, sizes: list[int]) -> float | None:
    if residual is False:
        return None
    scale = 1.0 if residual is True else positive_number(residual, "residual", "pass True for 1")
    hidden = sizes[1:-1]
    if len(hidden) < 2 or len(set(hidden)) > 1:
        raise ValueError(
            f"widths must have two or more equal hidden widths for residual, got {sizes}: "
            "h + branch(h) needs the same width on both sides, as in [64, 100, 100, 10]"
        )
    return scale


def _norm(kind: str, width: int, device: torch.device, dtype: torch.dtype) -> nn.Module:
    made = nn.BatchNorm1d if kind == "batch" else nn.LayerNorm
    return made(width, device=device, dtype=dtype)


def _linear(
    fan_in: int,
    fan_out: int,
    bias: bool,
    init: Initialization,
    gain: float,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> nn.Linear:
    # The constructor of nn.Linear would draw from torch's global generator, and torch's own way
    # around it, skip_init, imports 480 modules of its compiler.
    layer: nn.Linear = _Undrawn(fan_in, fan_out, bias=bias, device=generator.device, dtype=dtype)
    layer.__class__ = nn.Linear
    with torch.no_grad():
        # QR, behind "orthogonal", knows no half precision
        draft = layer.weight if dtype.itemsize >= 4 else layer.weight.float()
        if isinstance(init, str):
            INITIALIZATIONS[init](draft, gain, generator)
        elif callable(init):
            init(draft, generator)
        else:
            torch_init.normal_(draft, 0.0, float(init), generator=generator)
        if draft is not layer.weight:
            layer.weight.copy_(draft)
    if bias and init == "default":
        bound = 1 / math.sqrt(fan_in)
        torch_init.uniform_(layer.bias, -bound, bound, generator=generator)
    elif bias:
        torch_init.zeros_(layer.bias)
    return layer
