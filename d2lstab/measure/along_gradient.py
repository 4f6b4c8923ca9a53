"""How smooth a loss is along its gradient: how far loss and gradient move on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from d2lstab.arguments import positive_number
from d2lstab.measure.untouched import checked_model, untouched

__all__ = ["AlongGradient", "along_gradient"]


@dataclass(frozen=True, slots=True, eq=False)
class AlongGradient:
    """Loss and gradient at several points along minus the gradient."""

    losses: Tensor  # (steps + 1,) float64: the loss at step 0, then at each step
    loss_range: float  # largest minus smallest loss at the steps, without step 0
    gradient_distance: float  # largest ||g(step) - g(0)|| over the steps
    relative_change: float  # largest ||g(step) - g(0)|| / (step ||g(0)||): effective smoothness


def along_gradient(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    inputs: Any,
    targets: Any,
    *,
    steps: Sequence[float],
) -> AlongGradient:
    """Look at loss and gradient at theta - step * g for several steps.

        loss_fn(model(inputs), targets) at theta - step g,    g its gradient at theta

    Args:
        model: any module, in the mode it is in. It is returned as it came.
        loss_fn, inputs, targets: a scalar loss of one batch.
        steps: positive numbers, learning rates.

    Raises:
        ValueError: no step, one that is not positive, or a gradient of 0.
        TypeError: `model` is not a module.

    Source: Santurkar et al. (2018), section 3.1, figure 4.

    >>> line = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.ones_(line.weight)  # L = w^2 / 2, the gradient is w: smoothness 1
    >>> one = torch.ones(1, 1)
    >>> found = along_gradient(line, lambda y, t: y.square().sum() / 2, one, None, steps=[0.5, 1])
    >>> found.losses.tolist(), found.gradient_distance, found.relative_change
    ([0.5, 0.125, 0.0], 1.0, 1.0)
    """
    rates = [positive_number(step, "steps", "pass learning rates") for step in steps]
    if not rates:
        raise ValueError("steps must hold at least one learning rate, got none: pass [0.1, 0.2]")
    checked_model(model)
    parameters = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}

    def at(values: dict[str, Tensor]) -> tuple[float, list[Tensor]]:
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        loss = loss_fn(functional_call(model, leaves, (inputs,)), targets)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        pairs = zip(found, leaves.values(), strict=True)
        return loss.item(), [torch.zeros_like(v) if g is None else g for g, v in pairs]

    losses, distances = [], []
    with untouched(model), torch.inference_mode(False), torch.enable_grad():
        start, gradient = at(parameters)
        size = _norm(gradient)
        if not size > 0:
            raise ValueError(f"the gradient must not be 0, got a norm of {size}: move the model")
        for rate in rates:
            pairs = zip(parameters.items(), gradient, strict=True)
            loss, other = at({name: value - rate * g for (name, value), g in pairs})
            losses.append(loss)
            distances.append(_norm([a - b for a, b in zip(other, gradient, strict=True)]))
    return AlongGradient(
        losses=torch.tensor([start, *losses], dtype=torch.float64),
        loss_range=max(losses) - min(losses),
        gradient_distance=max(distances),
        relative_change=max(d / (r * size) for d, r in zip(distances, rates, strict=True)),
    )


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(sum(t.double().square().sum() for t in tensors)) ** 0.5
