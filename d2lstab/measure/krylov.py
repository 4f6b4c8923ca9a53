"""A growing orthonormal basis with the operator's image of every vector in it."""

import torch
from torch import Tensor

from d2lstab.measure.symmetric_operator import SymmetricOperator

__all__ = ["Subspace", "local_generator"]


def local_generator(device: torch.device) -> torch.Generator:
    """The source of start vectors: always the same, and never the global one."""
    return torch.Generator(device).manual_seed(0)


class Subspace:
    """q_1 .. q_m orthonormal, H q_1 .. H q_m, and T = Q' H Q in float64.

    Images are stored, so the residual of any vector in the span is a true one, H v - l v,
    and a new direction may be added at any time. They are held divided by `scale`, the
    size of the first image, so that neither 1e-30 nor 1e30 leaves the range of squares.
    """

    def __init__(self, operator: SymmetricOperator, capacity: int) -> None:
        self.operator = operator
        self.capacity = capacity
        self.size = 0
        self.scale = 0.0
        self.norm = 0.0  # largest |Ritz value| or image seen: a lower bound of ||H|| / scale
        rows = min(capacity, 32)
        self._basis = torch.empty(rows, operator.n, dtype=operator.dtype, device=operator.device)
        self._images = torch.empty_like(self._basis)
        self.projected = torch.zeros(capacity, capacity, dtype=torch.float64)

    @property
    def basis(self) -> Tensor:
        """The vectors q, as rows; shape (m, n)."""
        return self._basis[: self.size]

    @property
    def images(self) -> Tensor:
        """The vectors H q / scale, as rows; shape (m, n)."""
        return self._images[: self.size]

    def image(self, v: Tensor) -> Tensor:
        """H v / scale: one product."""
        result = self.operator(v)
        if self.scale == 0:
            self.scale = float(result.abs().max())
        return result / self.scale if self.scale > 0 else result

    def expand(self, direction: Tensor) -> tuple[Tensor, float]:
        """Take in a unit vector; return the next direction and how much of it was new.

        The next direction is H q less its part in the span, of unit length; the amount is
        0.0 where nothing but round-off is left.
        """
        m = self.size
        if m == len(self._basis):
            more = torch.empty(
                min(m, self.capacity - m), self.operator.n, dtype=direction.dtype,
                device=direction.device,
            )  # fmt: skip
            self._basis = torch.cat([self._basis, more])
            self._images = torch.cat([self._images, torch.empty_like(more)])
        image = self.image(direction)
        self._basis[m], self._images[m] = direction, image
        self.size = m + 1
        column = (self.basis @ image).double().cpu()
        self.projected[m, : m + 1] = self.projected[: m + 1, m] = column
        length = float(image.norm())
        self.norm = max(self.norm, length)
        return self.orthogonal(image, 10 * torch.finfo(image.dtype).eps * self.norm)

    def orthogonal(self, v: Tensor, negligible: float = 0.0) -> tuple[Tensor, float]:
        """The part of v outside the span, of unit length, and the length it had.

        Orthogonalized twice; once more where a small remainder has lost its digits.
        """
        before = float(v.norm())
        for _ in range(3):
            v = v - (self.basis @ v) @ self.basis
            after = float(v.norm())
            if not after > negligible:
                return torch.zeros_like(v), 0.0
            if after > 0.7 * before:
                break
            before = after
        return v / after, after

    def ritz(self, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Ritz values, ascending, and coefficients as columns, of the rows' span."""
        t = self.projected[: self.size, : self.size][rows, rows]
        values, coefficients = torch.linalg.eigh(t)
        self.norm = max(self.norm, float(values.abs().max()))
        return values, coefficients

    def combined(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors with these coefficients (columns) and their images, as rows."""
        weights = coefficients.T.to(self._basis)
        return weights @ self.basis, weights @ self.images

    def rotate(self, start: int, values: Tensor, coefficients: Tensor) -> None:
        """Replace rows `start` and later by fewer Ritz vectors of their span."""
        kept, m = len(values), self.size
        weights = coefficients.T.to(self._basis)
        self._basis[start : start + kept] = weights @ self._basis[start:m]
        self._images[start : start + kept] = weights @ self._images[start:m]
        coupling = coefficients.T @ self.projected[start:m, :start]
        end = start + kept
        self.projected[start:end, :start] = coupling
        self.projected[:start, start:end] = coupling.T
        self.projected[start:end, start:end] = torch.diag(values)
        self.size = end
