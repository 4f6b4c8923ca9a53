"""Readers' d2l models and our data, in and out of *Dive into Deep Learning*.

The d2l library is optional: this file imports without it, and `load` says how
to install it. `data_module` and `fit` train a d2l model on our tensors with
d2l's own `Trainer`; `loss_fn` and `materialize` hand one to `d2lstab.measure`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.integrations.data import as_images, data_module
from d2lstab.integrations.library import load
from d2lstab.integrations.trainer import TrainerHistory, d2l_module, fit, modes_kept

__all__ = ["TrainerHistory", "as_images", "data_module", "fit", "load", "loss_fn", "materialize"]


def loss_fn(model: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The d2l model's own loss as a function of (outputs, targets), as `measure` takes it.

    Raises:
        TypeError: `model` is not a module with a method `loss`.
    """
    return d2l_module(model, ("loss",)).loss


def materialize(
    model: Any, inputs: Tensor, init: Callable[[nn.Module], object] | None = None
) -> Any:
    """The same model with its lazy parameters made, and `init` applied to each module.

    One forward pass in eval mode on `inputs` gives d2l's lazy layers their
    shapes, so that running statistics do not move; `init` is a function such
    as `d2l.init_cnn`. The parameters are drawn from the global RNG: run it
    inside `seeded(name)`. The kernels of convolutions are laid out with the
    channels last, which on a CPU takes a third off a step of LeNet and changes
    round-off alone.

    Raises:
        TypeError: `model` is not a `torch.nn.Module`, or `init` not a function.
    """
    model = d2l_module(model, ())
    if init is not None and not callable(init):
        raise TypeError(
            f"init must be a function of a module, got {type(init).__name__}: pass d2l.init_cnn"
        )
    with modes_kept(model), torch.no_grad():
        model.eval()
        model(inputs)
    if init is not None:
        model.apply(init)
    return model.to(memory_format=torch.channels_last)
