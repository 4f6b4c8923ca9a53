"""Extreme eigenpairs of a symmetric operator by Lanczos with full reorthogonalization."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from d2lstab.arguments import choice, positive_integer, positive_number
from d2lstab.measure.krylov import Subspace, local_generator
from d2lstab.measure.symmetric_operator import symmetric_operator

__all__ = ["Eigenpairs", "eigenpairs"]

_MISSED = 1e-3  # chance that an eigenvalue that belongs among the k stays unseen
_TINY = 1e-300  # instead of 0 in a division: a residual of 0 passes, any other fails
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
    the same answer, and global random state is neither used nor changed. The search sees one
    direction of a multiple eigenvalue, so for k > 1 it is repeated from fresh directions
    outside the space found until nothing that belongs among the k turns up. That each
    pair is an eigenpair to its residual is certain; that none was left out is so up to the
    chance that a random direction has next to nothing of it. The basis is limited to 512 MB
    and restarted where it is full (thick restart).

    Raises:
        ValueError: k above n, an unknown `which`, a tolerance that is not positive, a matrix
            that is not symmetric or not finite.
        TypeError: an argument of the wrong kind.

    Source: Saad 2011, "Numerical methods for large eigenvalue problems", chapter 6; Wu and
    Simon 2000 (thick restart).

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
    search = _Search(Subspace(symmetric, capacity), k, tolerance, which, limit)
    search.run()
    return search.result()


class _Search:
    """One search: chains of Krylov directions, each started where the last had converged."""

    def __init__(
        self, space: Subspace, k: int, tolerance: float, which: str, max_products: int
    ) -> None:
        self.space, self.k, self.tolerance, self.which = space, k, tolerance, which
        self.max_products = max_products
        self.eps = torch.finfo(space.operator.dtype).eps
        self.generator = local_generator(space.operator.device)
        self.chain = 0  # the row where the present chain starts
        self.outside: float = space.operator.n  # dimensions that its start was drawn from
        self.worst = torch.empty(0)  # the largest residual, where that is the way to go on
        self.next_check = 0

    def run(self) -> None:
        """Expand until everything wanted is there, or nothing more can be had."""
        space, direction = self.space, self.fresh()
        while True:
            direction, amount = space.expand(direction)
            if space.size == space.operator.n or space.operator.products >= self.max_products:
                return
            verdict = self.verdict(amount)
            if verdict == "found":
                return
            if space.size == space.capacity:
                self.restart()
            if verdict == "refine":
                direction, amount = space.orthogonal(self.worst / self.worst.norm(), self.eps)
                self.chain, self.outside = space.size, math.inf
            if verdict == "again" or amount == 0:
                self.chain, self.outside = space.size, space.operator.n - space.size
                direction = self.fresh()

    def fresh(self) -> Tensor:
        """A random direction outside the space."""
        operator = self.space.operator
        v = torch.randn(
            operator.n, generator=self.generator, dtype=operator.dtype, device=operator.device
        )
        return self.space.orthogonal(v / v.norm())[0]

    def verdict(self, amount: float) -> str:
        """Whether to stop ("found"), go on ("more"), or look from elsewhere ("again")."""
        space, m = self.space, self.space.size
        if m < self.k or (m < self.next_check and amount > 0):
            return "more"
        values, coefficients = space.ritz()
        best = self.order(values)[: self.k]
        wanted = self.attainable(values[best])
        last = amount * coefficients[-1, best].abs()  # the residual, if this were the only chain
        if bool((last > 2 * wanted).any()):
            self.next_check = m + max(1, m // 16)
            return "more"
        residuals = self.residual_vectors(values[best], coefficients[:, best])
        excess = residuals.norm(dim=1).double().cpu() / wanted.clamp(min=_TINY)
        if not bool((excess <= 1).all()):
            self.next_check = m + 1 + m // 16
            if self.chain == 0:
                return "more"  # this chain's next direction is that residual already
            self.worst = residuals[excess.argmax()]
            return "refine"
        return "found" if self.k == 1 else self.outlook(values[best], wanted, amount)

    def outlook(self, values: Tensor, wanted: Tensor, amount: float) -> str:
        """Whether the present chain shows that nothing was left out before it started.

        An eigenvector u outside the earlier space, of an eigenvalue mu above the k-th, would
        have coefficients in the chain's basis and its next direction proportional to
        (amount (mu - T)^-1 e_last, 1), of norm at most 1. That bounds its share in the chain's
        random start, and so the chance that it was there and was not seen.
        """
        if self.outside == math.inf:  # this chain did not start at random
            return "again"
        kth = float(self.key(values).min() + wanted.max())
        theta, s = self.space.ritz(slice(self.chain, None))
        ends = {"largest": [1], "smallest": [-1], "magnitude": [1, -1]}[self.which]
        if any(sign * float(theta[-1 if sign > 0 else 0]) > kth for sign in ends):
            return "again"
        for sign in ends:
            z = amount * (s @ (s[-1] / (sign * kth - theta)))
            share = float(z[0] ** 2 / (1 + z @ z))
            if not 2 * self.outside * share / math.pi <= _MISSED**2:
                return "more"
        return "found"

    def key(self, values: Tensor) -> Tensor:
        """What is to be as large as possible."""
        return {"largest": values, "smallest": -values, "magnitude": values.abs()}[self.which]

    def order(self, values: Tensor) -> Tensor:
        return self.key(values).argsort(descending=True, stable=True)

    def threshold(self, values: Tensor) -> Tensor:
        return self.tolerance * values.abs().clamp(min=self.eps * self.space.norm)

    def attainable(self, values: Tensor) -> Tensor:
        """The threshold, or the round-off of one product where that is larger."""
        return self.threshold(values).clamp(min=8 * self.eps * self.space.norm)

    def residual_vectors(self, values: Tensor, coefficients: Tensor) -> Tensor:
        """H v - l v as rows, from the stored images."""
        vectors, images = self.space.combined(coefficients)
        return images - values.to(vectors)[:, None] * vectors

    def restart(self) -> None:
        """Keep the better half of the present chain, or of everything."""
        space = self.space
        length = space.size - self.chain
        if length < space.capacity // 3:
            self.chain, length = 0, space.size
        values, coefficients = space.ritz(slice(self.chain, None))
        fewest = self.k if self.chain == 0 else 0
        best = self.order(values)[: max(fewest, min(length - 1, fewest + length // 2))]
        if len(best) == length:
            best = best[:-1]
        space.rotate(self.chain, values[best], coefficients[:, best])
        self.next_check = 0

    def result(self) -> Eigenpairs:
        """The best k of the space, their residuals confirmed where round-off matters."""
        space = self.space
        values, coefficients = space.ritz()
        best = self.order(values)[: self.k]
        vectors, images = space.combined(coefficients[:, best])
        if bool((self.threshold(values[best]) < 1000 * self.eps * space.norm).any()):
            images = torch.stack([space.image(v) for v in vectors])
        values = _quotients(vectors, images)
        best = self.order(values)
        values, vectors, images = values[best], vectors[best], images[best]
        residuals = (images - values.to(vectors)[:, None] * vectors).norm(dim=1)
        return Eigenpairs(
            values=values.to(vectors) * space.scale,
            vectors=vectors.T.contiguous(),
            residuals=residuals * space.scale,
            converged=residuals <= self.threshold(values).to(residuals),
            products=space.operator.products,
        )


def _quotients(vectors: Tensor, images: Tensor) -> Tensor:
    """v' H v / v' v in float64, one at a time: a whole copy would double the memory."""
    values = []
    for row, image in zip(vectors, images, strict=True):
        v = row.double()
        values.append(float(v @ image.double() / (v @ v)))
    return torch.tensor(values, dtype=torch.float64)
