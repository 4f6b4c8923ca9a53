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
        TypeError: not an operator, or of half or extended precision or complex, or a sparse
            tensor.

    >>> double = symmetric_operator(torch.diag(torch.tensor([2.0, 2.0])))
    >>> double(torch.tensor([1.0, 3.0]))
    tensor([2., 6.])
    """
    shape = getattr(operator, "shape", None)
    if shape is None or not hasattr(operator, "__matmul__") or not hasattr(operator, "dtype"):
        raise TypeError(
            "operator must be a HessianOperator or a symmetric matrix, got "
            f"{type(operator).__name__}: pass a tensor of shape (n, n)"
        )
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(
            f"operator must be square and not empty, got shape {tuple(shape)}: pass shape (n, n)"
        )
    if isinstance(operator, Tensor):
        return _of_tensor(operator)
    if isinstance(operator.dtype, torch.dtype):
        return SymmetricOperator(int(shape[0]), operator.dtype, operator.device, operator.matvec)
    dtype = _real_dtype(operator.dtype)
    if isinstance(operator, np.ndarray):
        # torch takes no strides below 0, no foreign byte order, and warns of read-only memory
        return _of_tensor(torch.from_numpy(np.require(operator, dtype, ["C", "W"])))
    if hasattr(operator, "tocsr"):  # of scipy.sparse, in any format
        operator = _checked_sparse(operator.tocsr().astype(dtype))
    return _of_products(operator, dtype)


def _of_tensor(matrix: Tensor) -> SymmetricOperator:
    if matrix.layout != torch.strided:
        raise TypeError("operator must be dense, got a sparse tensor: pass .to_dense()")
    a = matrix.detach()
    if not a.is_floating_point() and not a.is_complex():
        a = a.double()
    if a.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"operator must be of float32 or float64, got {a.dtype}: convert it with .double()"
        )
    _check_finite(bool(torch.isfinite(a).all()))
    eps = torch.finfo(a.dtype).eps
    _check_symmetry(float((a - a.T).abs().max()), float(a.abs().max()), eps)
    return SymmetricOperator(len(a), a.dtype, a.device, a.__matmul__)


def _of_products(operator: Any, dtype: np.dtype[Any]) -> SymmetricOperator:
    n, kind = int(operator.shape[0]), getattr(torch, dtype.name)

    def product(v: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(operator @ v.numpy()).reshape(n)).to(kind)

    return SymmetricOperator(n, kind, torch.device("cpu"), product)


def _real_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or float64 in the machine's byte order."""
    given = np.dtype(dtype)
    if given.kind in "biu":
        return np.dtype(np.float64)
    if given.name not in ("float32", "float64"):
        raise TypeError(
            f"operator must be of float32 or float64, got {given.name}: "
            "convert it with .astype(np.float64)"
        )
    return np.dtype(given.name)


def _checked_sparse(a: Any) -> Any:
    _check_finite(bool(np.isfinite(a.data).all()))
    _check_symmetry(float(abs(a - a.T).max()), float(abs(a).max()), float(np.finfo(a.dtype).eps))
    return a


def _check_finite(finite: bool) -> None:
    if not finite:
        raise ValueError("operator must be finite, got NaN or infinity: look for them in it")


def _check_symmetry(asymmetry: float, size: float, eps: float) -> None:
    if not asymmetry <= 100 * eps**0.75 * size:
        raise ValueError(
            f"operator must be symmetric, got |A - A'| up to {asymmetry:.3g} where |A| is up to "
            f"{size:.3g}: pass (A + A') / 2 if it is meant to be"
        )
