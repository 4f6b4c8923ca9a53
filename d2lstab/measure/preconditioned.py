"""A symmetric operator seen in the units in which a diagonally scaled optimizer moves."""

from typing import Any

from torch import Tensor

from d2lstab.arguments import floating_tensor
from d2lstab.measure.symmetric_operator import symmetric_operator

__all__ = ["PreconditionedOperator"]


class PreconditionedOperator:
    """D^(-1/2) H D^(-1/2) for a symmetric operator H and a positive diagonal D.

    An optimizer that divides each gradient by D_i moves, in the coordinates D^(1/2) theta, like
    plain descent with this Hessian. Its largest eigenvalue is the preconditioned sharpness:
    with D = sqrt(v) + eps, Adam with a fixed D is stable on a quadratic up to
    lr = 2 (1 + beta1) / ((1 - beta1) lambda), which is 38 / lambda at beta1 = 0.9.

    Args:
        operator: a `HessianOperator` or a symmetric matrix of shape (n, n).
        diagonal: D, shape (n,), positive, in the order of the operator's rows.

    It has `.shape`, `.matvec(v)` and `@`, so that `eigenpairs` takes it; a product costs one of
    the operator's.

    Raises:
        TypeError, ValueError: no symmetric operator; a diagonal of another length, or one that
            is not positive and finite everywhere.

    Source: Cohen et al. (2022), "Adaptive gradient methods at the edge of stability", section 3.

    >>> import torch
    >>> halved = PreconditionedOperator(torch.diag(torch.tensor([2.0, 6.0])), torch.full((2,), 2.0))
    >>> (halved @ torch.tensor([1.0, 1.0])).round()
    tensor([1., 3.])
    """

    def __init__(self, operator: Any, diagonal: Tensor) -> None:
        self._operator = symmetric_operator(operator)
        advice = "pass sqrt(v) + eps, one entry for each parameter"
        floating_tensor(diagonal, "diagonal", advice)
        n = self._operator.n
        if tuple(diagonal.shape) != (n,):
            raise ValueError(
                f"diagonal must have shape ({n},), got {tuple(diagonal.shape)}: {advice}"
            )
        if not bool(((diagonal > 0) & diagonal.isfinite()).all()):
            raise ValueError(
                f"diagonal must be positive and finite, got {float(diagonal.min())} to "
                f"{float(diagonal.max())}: {advice}"
            )
        self.shape = (n, n)
        self.dtype, self.device = self._operator.dtype, self._operator.device
        self._root = diagonal.detach().to(self.device, self.dtype).rsqrt()

    def matvec(self, v: Tensor) -> Tensor:
        """D^(-1/2) H D^(-1/2) v for a vector of shape (n,)."""
        return self._root * self._operator(self._root * v)

    __matmul__ = matvec
