"""Descent close to a critical point by a quasi-Newton method, with weight decay if wanted."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from d2lstab.arguments import non_negative_number, positive_integer
from d2lstab.measure.untouched import checked_model

__all__ = ["Minimization", "minimize"]

_MEMORY = 50  # pairs of a step and a change of the gradient
_SMALL = 1e-11  # a gradient whose every entry is below this is taken for zero
_TRIES = 40  # of one line search; 2**-40 is a step of round-off


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

    Source: Nocedal and Wright 2006, section 7.2; Byrd, Nocedal and Schnabel 1994 for the
    compact form, which makes a step of L-BFGS a few products of matrices.

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

    def at(point: Tensor) -> _Point:
        with torch.no_grad():
            vector_to_parameters(point, parameters)
        loss = loss_fn(moving(inputs), targets)
        g = torch.cat([t.flatten() for t in torch.autograd.grad(loss, parameters)])
        value = float(loss.detach()) + decay / 2 * float(point @ point)
        return _Point(point, value, g + decay * point)

    with torch.inference_mode(False), torch.enable_grad():
        here = at(parameters_to_vector(parameters).detach().clone())
        pairs = _Pairs(here.gradient)
        for _ in range(count):
            if float(here.gradient.abs().max()) <= _SMALL:
                break
            there = _line_search(at, here, pairs.descent(here.gradient))
            if there is None:  # no step is better: round-off
                break
            pairs.add(there.theta - here.theta, there.gradient - here.gradient)
            here = there
        at(here.theta)  # the last point that was tried may be another
    for p in parameters:
        p.grad = None
    return Minimization(moving, here.value, float(here.gradient.norm()))


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    theta: Tensor  # all parameters, flat
    value: float  # of the function that is minimized
    gradient: Tensor


class _Pairs:
    """The last steps s and changes y of the gradient, which stand for the inverse Hessian."""

    def __init__(self, like: Tensor) -> None:
        self.s, self.y = like.new_zeros(0, len(like)), like.new_zeros(0, len(like))

    def add(self, step: Tensor, change: Tensor) -> None:
        if float(step @ change) > 0:  # so that the inverse stays positive
            self.s = torch.cat([self.s[-_MEMORY + 1 :], step[None]])
            self.y = torch.cat([self.y[-_MEMORY + 1 :], change[None]])

    def descent(self, g: Tensor) -> Tensor:
        """-H g, all pairs at once (Byrd, Nocedal and Schnabel 1994, equation 3.1)."""
        if not len(self.s):
            return -g / max(1.0, float(g.norm()))
        mixed, yy = self.s @ self.y.T, self.y @ self.y.T
        scale = float(mixed[-1, -1] / yy[-1, -1])
        upper = mixed.triu()
        u = torch.linalg.solve_triangular(upper, (self.s @ g)[:, None], upper=True)
        inner = (mixed.diag().diag() + scale * yy) @ u - scale * (self.y @ g)[:, None]
        w = torch.linalg.solve_triangular(upper.T, inner, upper=False)
        direction = -(scale * g + self.s.T @ w[:, 0] - scale * self.y.T @ u[:, 0])
        return direction if float(direction @ g) < 0 else -g


def _line_search(at: Callable[[Tensor], _Point], here: _Point, direction: Tensor) -> _Point | None:
    """A step that meets Wolfe's two conditions, by bisection; None where none is found."""
    slope, low, high, t = float(direction @ here.gradient), 0.0, math.inf, 1.0
    for _ in range(_TRIES):
        there = at(here.theta + t * direction)
        if not there.value <= here.value + 1e-4 * t * slope:  # too long, or not finite
            high = t
        elif float(direction @ there.gradient) < 0.9 * slope:  # too short
            low = t
        else:
            return there
        t = (low + high) / 2 if math.isfinite(high) else 2 * low
    return None
