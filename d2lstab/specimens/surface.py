"""A loss surface: a function of a few parameters with its derivatives in closed form."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lstab.arguments import floating_tensor

__all__ = ["Surface"]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A scalar function of d parameters, its gradient and its Hessian.

    `value`, `gradient` and `hessian` take points of shape (..., d) and return shapes (...),
    (..., d) and (..., d, d) in the points' dtype; a surface can also be called like a
    function, and automatic differentiation goes through it.

    Raises (all three):
        TypeError: the points are no floating-point tensor.
        ValueError: their last dimension is not d.
    """

    name: str  # what a figure's title calls it
    dimension: int  # d, the number of parameters
    value_at: Callable[[Tensor], Tensor]  # (..., d) -> (...), unchecked
    gradient_at: Callable[[Tensor], Tensor]  # (..., d) -> (..., d), unchecked
    hessian_at: Callable[[Tensor], Tensor]  # (..., d) -> (..., d, d), unchecked
    minima: Tensor  # (k, d) float64: its minima, or some where they form a curve; k may be 0
    constant_hessian: bool = False  # True for quadratics: one Hessian holds everywhere

    def value(self, points: Tensor) -> Tensor:
        """The height of the surface at each point."""
        return self.value_at(self._checked(points))

    __call__ = value

    def gradient(self, points: Tensor) -> Tensor:
        """The gradient at each point, in closed form."""
        return self.gradient_at(self._checked(points))

    def hessian(self, points: Tensor) -> Tensor:
        """The matrix of second derivatives at each point, in closed form."""
        return self.hessian_at(self._checked(points))

    def _checked(self, points: Tensor) -> Tensor:
        advice = f"pass points of {self.name} as a float tensor of shape (..., {self.dimension})"
        floating_tensor(points, "points", advice)
        if points.dim() == 0 or points.shape[-1] != self.dimension:
            raise ValueError(
                f"points must be of shape (..., {self.dimension}), "
                f"got {tuple(points.shape)}: {advice}"
            )
        return points


def matrix(rows: list[list[Tensor]]) -> Tensor:
    """A matrix of shape (..., d, d) from its entries, each of shape (...)."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
