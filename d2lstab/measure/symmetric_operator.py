"""Whatever can be multiplied by a vector and is symmetric, behind one small face."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["SymmetricOperator", "symmetric_operator"]


@dataclass(slots=True, eq=False)
class SymmetricOperator:
    """A symmetric operator and the number of its products so far."""

    n: int  # rows and columns
    dtype: torch.dtype  # float32 or float64
    device: torch.device
    product: Callable[[Tensor], Tensor]  # vector (n,) -> vector (n,)
    products: int = 0  # how many were made

    def __call__(self, v: Tensor) -> Tensor:
        """H v, counted."""
        self.products += 1
        return self.product(v)


def symmetric_operator(operator: Any) -> SymmetricOperator:
    """A `HessianOperator`, a symmetric matrix (torch, numpy, scipy.sparse), a `LinearOperator`.

    Integers become float64. An operator that is not a matrix is taken to be symmetric.

    Raises:
        ValueError: not square, empty, not symmetric, or not finite.
        TypeError: not an operator, or of half precision or complex.

    >>> double = symmetric_operator(torch.diag(torch.tensor([2.0, 2.0])))
    >>> double(torch.tensor([1.0, 3.0]))
    tensor([2., 6.])
    """
    shape = getattr(operator, "shape", None)
    if shape is None or not hasattr(operator, "__matmul__"):
        raise TypeError(
            "operator must be a HessianOperator or a symmetric matrix, got "
            f"{type(operator).__name__}: pass a tensor of shape (n, n)"
        )
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(
            f"operator must be square and not empty, got shape {tuple(shape)}: pass shape (n, n)"
        )
    if isinstance(operator, Tensor | np.ndarray):
        return _of_matrix(operator)
    n = int(shape[0])
    if isinstance(operator.dtype, torch.dtype):
        return SymmetricOperator(n, operator.dtype, operator.device, operator.matvec)
    dtype = torch.float32 if operator.dtype == np.float32 else torch.float64

    def product(v: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(operator @ v.numpy()).reshape(n)).to(dtype)

    return SymmetricOperator(n, dtype, torch.device("cpu"), product)


def _of_matrix(matrix: Any) -> SymmetricOperator:
    a = torch.as_tensor(matrix).detach()
    if not a.is_floating_point() and not a.is_complex():
        a = a.double()
    if a.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"operator must be of float32 or float64, got {a.dtype}: convert it with .double()"
        )
    if not bool(torch.isfinite(a).all()):
        raise ValueError("operator must be finite, got NaN or infinity: look for them in it")
    asymmetry, size = float((a - a.T).abs().max()), float(a.abs().max())
    if not asymmetry <= 100 * torch.finfo(a.dtype).eps ** 0.75 * size:
        raise ValueError(
            f"operator must be symmetric, got |A - A'| up to {asymmetry:.3g} where |A| is up to "
            f"{size:.3g}: pass (A + A') / 2 if it is meant to be"
        )
    return SymmetricOperator(len(a), a.dtype, a.device, a.__matmul__)
