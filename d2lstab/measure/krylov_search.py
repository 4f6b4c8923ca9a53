"""The search for extreme eigenvectors: chains of Krylov directions in one growing space."""

import math

import torch
from torch import Tensor

from d2lstab.measure.krylov import Subspace, local_generator

__all__ = ["Search"]

_MISSED = 1e-3  # chance that an eigenvalue that belongs among the k stays unseen
_TINY = 1e-300  # instead of 0 in a division: a residual of 0 passes, any other fails


class Search:
    """One search: chains of Krylov directions, each started where the last had nothing left."""

    def __init__(
        self, space: Subspace, k: int, tolerance: float, which: str, max_products: int
    ) -> None:
        self.space, self.k, self.tolerance, self.which = space, k, tolerance, which
        self.max_products = max_products
        self.eps = torch.finfo(space.operator.dtype).eps
        self.generator = local_generator(space.operator.device)
        self.chain = 0  # the row where the present chain starts
        self.outside: float = space.operator.n  # dimensions that its start was drawn from
        self.running = True  # whether the present chain may still have something to tell
        self.complete = k == 1  # whether a chain has shown that nothing was left out
        self.next_check = 0

    def run(self) -> None:
        """Expand until everything wanted is there, or nothing more can be had."""
        space, direction = self.space, self.fresh()
        while True:
            direction, amount = space.expand(direction)
            if space.size == space.operator.n or space.operator.products >= self.max_products:
                return
            if self.running and not self.told(amount):
                self.restart(space.size == space.capacity)
                if amount == 0:
                    self.begin()
                    direction = self.fresh()
                continue
            self.running = False
            worst = self.worst_residual()
            if worst is None and self.complete:
                return
            self.restart(space.size == space.capacity)
            if worst is None:
                self.begin()
                direction = self.fresh()
            else:
                direction, amount = space.orthogonal(worst, self.eps)
                if amount == 0:
                    return

    def begin(self) -> None:
        """Note that a chain starts at random outside the space."""
        self.chain, self.running = self.space.size, True
        self.outside = self.space.operator.n - self.space.size

    def fresh(self) -> Tensor:
        """A random direction outside the space."""
        operator = self.space.operator
        v = torch.randn(
            operator.n, generator=self.generator, dtype=operator.dtype, device=operator.device
        )
        return self.space.orthogonal(v / v.norm())[0]

    def wanted(self) -> tuple[Tensor, Tensor, Tensor]:
        """The k best Ritz values of the space, their coefficients, and allowed residuals."""
        values, coefficients = self.space.ritz()
        best = self.order(values)[: self.k]
        return values[best], coefficients[:, best], self.attainable(values[best])

    def told(self, amount: float) -> bool:
        """Whether the present chain has told all it can about the k best."""
        m = self.space.size
        if m < self.k or (m < self.next_check and amount > 0):
            return False
        self.next_check = m + max(1, m // 16)
        values, coefficients, allowed = self.wanted()
        if self.chain == 0:
            return bool((amount * coefficients[-1].abs() <= allowed).all())
        return self.probed(float(self.key(values).min() + allowed.max()), allowed, amount)

    def probed(self, kth: float, allowed: Tensor, amount: float) -> bool:
        """Whether a later chain has all it found beyond the k-th, or shows there is nothing.

        An eigenvector u outside the earlier space, of an eigenvalue mu beyond the k-th, has
        coefficients in the chain's basis and its next direction proportional to
        (amount (mu - T)^-1 e_last, 1), of norm at most 1. That bounds u's share in the chain's
        random start, and so the chance that u was there and was not seen.
        """
        theta, s = self.space.ritz(slice(self.chain, None))
        loose = amount * s[-1].abs()
        beyond = self.key(theta) > kth
        if bool(beyond.any()):
            return bool((loose[beyond] <= allowed.min()).all())
        for sign in {"largest": [1], "smallest": [-1], "magnitude": [1, -1]}[self.which]:
            z = amount * (s @ (s[-1] / (sign * kth - theta)))
            share = float(z[0] ** 2 / (1 + z @ z))
            chance = math.sqrt(2 * self.outside * share / math.pi)
            if not chance <= _MISSED and not loose[-1 if sign > 0 else 0] <= allowed.min():
                return False
        self.complete = True
        return True

    def worst_residual(self) -> Tensor | None:
        """The residual, of unit length, of the pair that is worst; None if all are good."""
        values, coefficients, allowed = self.wanted()
        vectors, images = self.space.combined(coefficients)
        residuals = images - values.to(vectors)[:, None] * vectors
        norms = residuals.norm(dim=1).double().cpu()
        excess = norms / allowed.clamp(min=_TINY)
        worst = excess.argmax()
        return None if bool(excess[worst] <= 1) else residuals[worst] / norms[worst].item()

    def key(self, values: Tensor) -> Tensor:
        """What is to be as large as possible."""
        return {"largest": values, "smallest": -values, "magnitude": values.abs()}[self.which]

    def order(self, values: Tensor) -> Tensor:
        """Indices of the values, what is asked for first."""
        return self.key(values).argsort(descending=True, stable=True)

    def threshold(self, values: Tensor) -> Tensor:
        """The residual below which a pair has converged."""
        return self.tolerance * values.abs().clamp(min=self.eps * self.space.norm)

    def attainable(self, values: Tensor) -> Tensor:
        """The threshold, or the round-off of one product where that is larger."""
        return self.threshold(values).clamp(min=8 * self.eps * self.space.norm)

    def restart(self, full: bool) -> None:
        """Where the basis is full keep the better half of the chain, or of everything."""
        space = self.space
        if not full:
            return
        if not self.running or space.size - self.chain < space.capacity // 3:
            self.chain = 0
        length = space.size - self.chain
        values, coefficients = space.ritz(slice(self.chain, None))
        kept = length // 2 if self.chain else min(length - 1, self.k + length // 2)
        best = self.order(values)[:kept]
        space.rotate(self.chain, values[best], coefficients[:, best])
        self.outside = math.inf  # what is known of the chain's start was lost with the rest
        self.next_check = 0

    def best(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, vectors and images (rows) of the best k, and which residuals can be trusted.

        Where round-off matters the images are made by products anew, if there is room for them.
        """
        space = self.space
        values, coefficients, _ = self.wanted()
        vectors, images = space.combined(coefficients)
        unsure = self.threshold(values) < 50 * self.eps * space.norm
        if bool(unsure.any()) and space.operator.products + self.k <= self.max_products:
            images = torch.stack([space.image(v) for v in vectors])
            unsure = torch.zeros_like(unsure)
        values = _quotients(vectors, images)
        order = self.order(values)
        return values[order], vectors[order], images[order], ~unsure[order]


def _quotients(vectors: Tensor, images: Tensor) -> Tensor:
    """v' H v / v' v in float64, one at a time: a whole copy would double the memory."""
    values = []
    for row, image in zip(vectors, images, strict=True):
        v = row.double()
        values.append(float(v @ image.double() / (v @ v)))
    return torch.tensor(values, dtype=torch.float64)
