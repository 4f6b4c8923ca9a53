"""A copy of a model that moves only where its gradient gets shorter."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer, positive_number
from d2lstab.measure.batch_loss import batches_of
from d2lstab.measure.curvature import HessianOperator, hessian_matrix
from d2lstab.measure.untouched import checked_model

__all__ = ["CriticalPointSearch", "GradientWalk"]


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPointSearch:
    """Where a search went; a failure to arrive is data."""

    model: nn.Module  # a copy of the model at the last point
    losses: Tensor  # (steps + 1,), at the start and after each accepted step
    gradient_norms: Tensor  # (steps + 1,), the same points
    converged: bool  # the last gradient norm is at most the tolerance
    flatness: float  # ||H g|| / (||H|| ||g||) at the last point, 0.0 where g is 0


class GradientWalk:
    """A copy of the model that moves, and the notes of where it has been."""

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        inputs: Any,
        targets: Any,
        steps: int,
        tolerance: float,
    ) -> None:
        self.left = positive_integer(steps, "steps", "pass how many steps to make at most")
        self.tolerance = positive_number(tolerance, "tolerance", "pass 1e-6, for example")
        self.model = deepcopy(checked_model(model))
        self.problem = (loss_fn, batches_of(inputs, targets))  # a generator is read once
        self.operator = HessianOperator(self.model, *self.problem)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.point = torch.cat([p.detach().flatten() for p in self.parameters])
        self.gradient, loss = self.operator.gradient, self.operator.loss
        self.losses, self.norms = [loss], [float(self.gradient.norm())]

    def unfinished(self) -> bool:
        """Count a step; whether it is still to be made."""
        self.left -= 1
        return self.left >= 0 and not self.norms[-1] <= self.tolerance

    def matrix(self) -> Tensor:
        """The whole Hessian at the present point."""
        return hessian_matrix(self.model, *self.problem)

    def norm_estimate(self) -> float:
        """A few steps of the power method from the gradient."""
        v = self.gradient
        for _ in range(5):
            size = float(v.norm())
            if size == 0:
                return 0.0
            v = self.operator.matvec(v / size)
        return float(v.norm())

    def move(self, point: Tensor) -> None:
        """Put the parameters there."""
        with torch.no_grad():
            start = 0
            for p in self.parameters:
                p.copy_(point[start : start + p.numel()].view_as(p))
                start += p.numel()

    def accept(self, step: Tensor, decrease: float = 0.0) -> bool:
        """Make the step if ||g||^2 / 2 falls by at least `decrease`; otherwise stay."""
        self.move(self.point + step)
        try:
            gradient, loss = self.operator.gradient, self.operator.loss
        except ValueError:  # overflow: as bad as a longer gradient
            gradient, loss = torch.full_like(self.gradient, torch.inf), torch.inf
        norm = float(gradient.norm())
        if not (norm**2 / 2 <= self.norms[-1] ** 2 / 2 - decrease and norm < self.norms[-1]):
            self.move(self.point)
            return False
        self.point, self.gradient = self.point + step, gradient
        self.losses.append(loss)
        self.norms.append(norm)
        return True

    def backtrack(self, step: Tensor, slope: float) -> bool:
        """Halve the step until f falls by 1e-4 of what its slope promises."""
        return any(
            self.accept(0.5**halvings * step, -1e-4 * 0.5**halvings * slope)
            for halvings in range(60)
        )

    def result(self) -> CriticalPointSearch:
        """What is known at the end."""
        norm, flatness = self.norms[-1], 0.0
        if norm > 0:
            size = self.norm_estimate()
            turned = float(self.operator.matvec(self.gradient).norm())
            flatness = turned / (size * norm) if size > 0 else 0.0
        return CriticalPointSearch(
            model=self.model,
            losses=torch.tensor(self.losses, dtype=torch.float64),
            gradient_norms=torch.tensor(self.norms, dtype=torch.float64),
            converged=norm <= self.tolerance,
            flatness=flatness,
        )
