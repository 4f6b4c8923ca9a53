"""Descent close to a critical point by a quasi-Newton method, with weight decay if wanted."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import non_negative_number, positive_integer
from d2lstab.measure.untouched import checked_model

__all__ = ["Minimization", "minimize"]


@dataclass(frozen=True, slots=True, eq=False)
class Minimization:
    """Where a minimization ended."""

    model: nn.Module  # a copy of the model at the last point
    loss: float  # with the decay's term
    gradient_norm: float  # Euclidean norm of that loss's gradient


def minimize(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    inputs: Any,
    targets: Any,
    *,
    weight_decay: float = 0.0,
    steps: int = 300,
) -> Minimization:
    """Minimize the full-batch loss by L-BFGS with a line search.

        f(theta) = loss_fn(model(inputs), targets) + weight_decay ||theta||^2 / 2

    The Hessian of f is the loss's plus weight_decay times the identity.

    Args:
        model: left as it is; a copy moves, in the model's mode.
        loss_fn, inputs, targets: the loss is `loss_fn(model(inputs), targets)`, a scalar.
        weight_decay: of all parameters, biases included.
        steps: at most so many iterations; it stops before where the gradient is below 1e-11.

    Returns:
        A `Minimization`. Work in float64: in float32 the line search ends at round-off.

    Raises:
        ValueError: steps below 1, a weight decay that is negative or not finite, no
            parameter that requires a gradient.
        TypeError: `model` is not a `torch.nn.Module`.

    Source: Nocedal and Wright 2006, section 7.2.

    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> found = minimize(line, nn.functional.mse_loss, one, 3 * one, weight_decay=1.0)
    >>> round(found.model.weight.item(), 6)  # (w - 3)^2 + w^2 / 2 is smallest at 2
    2.0
    """
    moving = deepcopy(checked_model(model))
    decay = non_negative_number(weight_decay, "weight_decay", "pass 0 for none")
    count = positive_integer(steps, "steps", "pass how many iterations to make at most")
    parameters = [p for p in moving.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model must have parameters to move, got none that requires a gradient")
    for p in parameters:
        p.grad = None

    def objective() -> Tensor:
        penalty = torch.stack([p.square().sum() for p in parameters]).sum()
        return loss_fn(moving(inputs), targets) + decay / 2 * penalty

    def closure() -> float:
        value = objective()
        for p, g in zip(parameters, torch.autograd.grad(value, parameters), strict=True):
            p.grad = g
        return float(value.detach())

    with torch.inference_mode(False), torch.enable_grad():
        lbfgs = torch.optim.LBFGS(
            parameters, max_iter=count, history_size=50, line_search_fn="strong_wolfe",
            tolerance_grad=1e-11, tolerance_change=0.0,
        )  # fmt: skip
        lbfgs.step(closure)
        loss = closure()
    norm = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm()
    for p in parameters:
        p.grad = None
    return Minimization(moving, loss, float(norm))
