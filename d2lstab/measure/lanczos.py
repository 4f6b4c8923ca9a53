"""Extreme eigenpairs of a symmetric operator by Lanczos with full reorthogonalization."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from d2lstab.arguments import choice, positive_integer, positive_number
from d2lstab.measure.krylov import Subspace
from d2lstab.measure.krylov_search import Search
from d2lstab.measure.symmetric_operator import symmetric_operator

__all__ = ["Eigenpairs", "eigenpairs"]

_BASIS_BYTES = 2**29  # the basis and its images together


@dataclass(frozen=True, slots=True, eq=False)
class Eigenpairs:
    """Eigenpairs in the order that was asked for."""

    values: Tensor  # (k,), descending for "largest", ascending for "smallest", by size otherwise
    vectors: Tensor  # (n, k), one eigenvector of unit length in each column
    residuals: Tensor  # (k,), ||H v - l v||, in the unit of the values
    converged: Tensor  # (k,), bool: residual <= tolerance * max(|l|, eps ||H||)
    products: int  # operator-vector products that were made


def eigenpairs(
    operator: Any,
    k: int,
    tolerance: float = 1e-4,
    which: str = "largest",
    *,
    max_products: int | None = None,
) -> Eigenpairs:
    """The k largest, smallest or largest-in-magnitude eigenpairs, each with its residual.

        minimize over Krylov spaces: H Q = Q T + remainder, T s = l s, v = Q s

    Args:
        operator: a `HessianOperator`, or a symmetric matrix (tensor, array, scipy.sparse).
        k: how many, at most n.
        tolerance: a pair has converged where ||H v - l v|| <= tolerance * max(|l|, eps ||H||),
            eps being the dtype's; some eigenvalue then lies that close to l, and where the
            gap to its neighbours is wide the error is of order residual**2 / gap.
        which: "largest" and "smallest" in the order of the numbers, -5 being smaller than
            1; or "magnitude", the largest |l|.
        max_products: stop there, with what has not converged said so; 1000 + 20 k unless
            given. The search also ends where the basis spans the whole space.

    Returns:
        `Eigenpairs` of the operator's dtype, on its device.

    The start is random, from a generator of its own with a fixed seed: the same call gives
    the same answer, and global random state is neither used nor changed. One chain sees one
    direction of a multiple eigenvalue, so for k > 1 it is repeated from fresh directions
    outside the space found until nothing that belongs among the k turns up.

    Certain is that each pair is an eigenpair to its residual. That none was left out is so
    up to the chance that a random direction has next to nothing of it (1 in 1000 a look);
    eigenvalues closer together than the tolerance may be counted short. The basis is limited
    to 512 MB and restarted where it is full (thick restart).

    Raises:
        ValueError: k above n, an unknown `which`, a tolerance that is not positive, a matrix
            that is not symmetric or not finite.
        TypeError: an argument of the wrong kind.

    Source: Saad 2011, "Numerical methods for large eigenvalue problems", chapter 6; Wu and
    Simon 2000 (thick restart).

    >>> import torch
    >>> pairs = eigenpairs(torch.diag(torch.tensor([2.0, 1.0, 2.0])), 2)
    >>> [round(value, 4) for value in pairs.values.tolist()], pairs.converged.tolist()
    ([2.0, 2.0], [True, True])
    """
    symmetric = symmetric_operator(operator)
    k = positive_integer(k, "k", "pass the number of eigenpairs")
    if k > symmetric.n:
        raise ValueError(f"k must be at most {symmetric.n}, got {k}: there are no more eigenpairs")
    tolerance = positive_number(tolerance, "tolerance", "pass 1e-4, for example")
    which = choice(which, "which", ("largest", "smallest", "magnitude"))
    limit = 1000 + 20 * k if max_products is None else max_products
    limit = positive_integer(limit, "max_products", "pass a number of at least k", minimum=k)
    row = 2 * symmetric.n * symmetric.dtype.itemsize
    capacity = min(symmetric.n, max(2 * k + 32, min(1024, _BASIS_BYTES // row)))
    search = Search(Subspace(symmetric, capacity), k, tolerance, which, limit)
    search.run()
    values, vectors, images, trusted = search.best()
    residuals = (images - values.to(vectors)[:, None] * vectors).norm(dim=1)
    small = residuals <= search.threshold(values).to(residuals)
    return Eigenpairs(
        values=values.to(vectors) * search.space.scale,
        vectors=vectors.T.contiguous(),
        residuals=residuals * search.space.scale,
        converged=small & trusted.to(small.device),
        products=symmetric.products,
    )
