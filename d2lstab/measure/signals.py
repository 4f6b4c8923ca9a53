"""Signals of a network: what every layer puts out, and which gradient comes back to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import floating_dtype, number_between
from d2lstab.measure.layer_signals import (
    LayerSignals,
    SeenCall,
    euclidean_norm,
    joint_norm,
    layer_signals,
)
from d2lstab.measure.leaf_calls import leaf_calls
from d2lstab.measure.magnitudes import rounding_limits
from d2lstab.measure.untouched import checked_model, model_output, untouched

__all__ = ["LayerSignals", "Signals", "record_signals"]


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """All layers of one forward and one backward pass."""

    layers: tuple[LayerSignals, ...]  # one entry for each call of a leaf module, forward order
    loss: float  # value of loss_fn(model(inputs), targets)
    gradient_norm: float  # Euclidean norm over all trainable parameters; NaN without any
    quantile_levels: tuple[float, ...]  # levels of every gradient_quantiles
    dtype: torch.dtype  # format of the overflow and underflow shares


def record_signals(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    inputs: Any,
    targets: Any,
    *,
    quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    dtype: torch.dtype = torch.float16,
) -> Signals:
    """Record every layer's output and its gradient in one forward and one backward pass.

    forward_second_moment = mean(h**2),  backward_second_moment = mean((dL/dh)**2),
    with L = loss_fn(model(inputs), targets) and h the output of one call of a leaf module.

    Args:
        model: any module, in the mode it is in. It is returned as it came.
        loss_fn: a scalar loss of the model's output and the targets.
        inputs: what the model takes; the first dimension of a tensor counts the samples.
        targets: what the loss takes.
        quantiles: levels between 0 and 1 of the absolute gradients.
        dtype: a floating-point format; which share would over- or underflow in it?

    Returns:
        `Signals`, in forward order; statistics in float64 over all entries; the
        quantiles of 8,192 entries or more come from a sample of at least 4,096.
        A leaf call is one during which no other module of the model is called. If the
        output is a tuple, its first part that the loss depends on is described. A unit is
        one position of the output without its first dimension. An output on which the loss
        does not depend (or computed under `no_grad`) has gradient 0 and `reached` False.
        NaN and infinity in the signals are data.

    Raises:
        TypeError: `model` is no module, the inputs have the wrong dtype for it, or the loss is
            no floating-point tensor.
        ValueError: an empty batch, a lazy model that has not run yet, a loss that is not a
            scalar or has no gradient, a level outside [0, 1].

    Source: Glorot and Bengio (2010), section 4, whose figures show these quantities.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 3.0)
    >>> signals = record_signals(model, lambda y, t: y.sum(), torch.ones(4, 1), None)
    >>> signals.layers[0].forward_second_moment, signals.layers[0].backward_second_moment
    (9.0, 1.0)
    """
    checked_model(model)
    _check_batch(loss_fn, inputs)
    advice = "pass levels such as 0.5 for the median"
    levels = tuple(number_between(q, "quantiles", 0, 1, advice) for q in quantiles)
    limits = rounding_limits(floating_dtype(dtype))
    seen: list[SeenCall] = []
    with untouched(model), torch.inference_mode(False), torch.enable_grad():
        with leaf_calls(model, lambda call: seen.append(SeenCall(call, limits))):
            loss = _checked_loss(loss_fn(model_output(model, inputs), targets))
        parameters = [p for p in model.parameters() if p.requires_grad]
        edges = [edge for s in seen for group in s.edges for edge in group if edge is not None]
        sources: Any = [*edges, *parameters]  # the stubs know lists of one kind only
        found = torch.autograd.grad(loss, sources, allow_unused=True)
        value = loss.item()
    norms = {p: euclidean_norm(g) for p, g in zip(parameters, found[len(edges) :], strict=True)}
    arrived = iter(found[: len(edges)])
    layers = []
    for s in seen:
        gradients = [[e if e is None else next(arrived) for e in group] for group in s.edges]
        layers.append(layer_signals(s, gradients, norms, levels, limits))
    return Signals(tuple(layers), value, joint_norm(norms.values()), levels, dtype)


def _check_batch(loss_fn: object, inputs: object) -> None:
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn must be a function of the model's output and the targets, got {loss_fn!r}: "
            "pass torch.nn.functional.cross_entropy, for example"
        )
    if isinstance(inputs, Tensor) and inputs.numel() == 0:
        raise ValueError(
            f"inputs must be a batch of at least one sample, got shape {tuple(inputs.shape)}: "
            "pass the samples that the loss is averaged over"
        )


def _checked_loss(loss: object) -> Tensor:
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        got = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            f"loss must be a floating-point tensor, got {got}: "
            "let loss_fn return a differentiable function of the model's output"
        )
    if loss.numel() != 1:
        raise ValueError(
            f"loss must be a scalar, got shape {tuple(loss.shape)}: "
            "average over the batch, for example with reduction='mean'"
        )
    if not loss.requires_grad:
        raise ValueError(
            "loss must depend on the model through differentiable operations, "
            "got a loss without gradient: leave out detach, argmax and no_grad"
        )
    return loss
