"""Error surfaces over two of three logits: softmax with cross-entropy, and with the MSE.

The right class is the first; the third logit is fixed, at -1000 unless told, where it does
not count: then everything depends on the gap d = y2 - y1 alone.
"""

import torch
from torch import Tensor

from d2lstab.arguments import finite_number
from d2lstab.specimens.surface import Surface, matrix

__all__ = ["cross_entropy_surface", "mse_surface"]


def _logits(points: Tensor, third_logit: float) -> Tensor:
    return torch.cat([points, torch.full_like(points[..., :1], third_logit)], dim=-1)


def _no_minimum() -> Tensor:
    return torch.empty(0, 2, dtype=torch.float64)  # approached at infinite logits only


def cross_entropy_surface(third_logit: float = -1000.0) -> Surface:
    """Cross-entropy of softmax(y1, y2, y3) with class 1 as the target, over (y1, y2).

        L = ln sum_j exp(y_j) - y1,    grad = p - (1, 0),    H = diag(p) - p p^T

    Convex, without a minimum at finite logits. With y3 = -1000 it is softplus(y2 - y1).

    Raises:
        ValueError, TypeError: `third_logit` is not a finite number.

    >>> cross_entropy_surface().gradient(torch.zeros(2))
    tensor([-0.5000,  0.5000])
    """
    y3 = finite_number(third_logit, "third_logit")

    def wrong_logits(points: Tensor) -> Tensor:
        return _logits(points, y3)[..., 1:]

    def value(points: Tensor) -> Tensor:  # ln(1 + sum of ratios): exact where the loss is tiny
        gap = torch.logsumexp(wrong_logits(points), dim=-1) - points[..., 0]
        return torch.nn.functional.softplus(gap, threshold=float("inf"))

    def gradient(points: Tensor) -> Tensor:
        p = _logits(points, y3).softmax(dim=-1)
        return torch.stack([-(p[..., 1] + p[..., 2]), p[..., 1]], dim=-1)

    def hessian(points: Tensor) -> Tensor:
        p1, p2, p3 = _logits(points, y3).softmax(dim=-1).unbind(dim=-1)
        return matrix([[p1 * (p2 + p3), -p1 * p2], [-p1 * p2, p2 * (p1 + p3)]])

    return Surface("cross-entropy", 2, value, gradient, hessian, _no_minimum())


def mse_surface(third_logit: float = -1000.0) -> Surface:
    """Sum of squared errors of softmax(y1, y2, y3) against (1, 0, 0), over (y1, y2).

        L = (1 - p1)^2 + p2^2 + p3^2,    dL/dy_j = 2 p_j (e_j - s)

    with e = p - (1, 0, 0) and s = sum_k p_k e_k. Not convex; flat where the answer is
    confidently wrong. With y3 = -1000 it is 2 (1 - p)^2 with p = sigmoid(y1 - y2).

    Raises:
        ValueError, TypeError: `third_logit` is not a finite number.

    >>> mse_surface().gradient(torch.zeros(2))
    tensor([-0.5000,  0.5000])
    """
    y3 = finite_number(third_logit, "third_logit")

    def parts(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """p, and e_j - s for the first two logits, without a cancellation at p1 near 1."""
        p = _logits(points, y3).softmax(dim=-1)
        p1, p2, p3 = p.unbind(dim=-1)
        first = -((p2 + p3).square() + p2.square() + p3.square())
        second = p2 * (p1 + p3) + p1 * (p2 + p3) - p3.square()
        return p, first, second

    def value(points: Tensor) -> Tensor:
        _, first, _ = parts(points)
        return -first

    def gradient(points: Tensor) -> Tensor:
        p, first, second = parts(points)
        return 2 * torch.stack([p[..., 0] * first, p[..., 1] * second], dim=-1)

    def hessian(points: Tensor) -> Tensor:
        p, first, second = parts(points)
        p1, p2, p3 = p.unbind(dim=-1)
        rest = p2 + p3
        # d p_j / d y_i for the derivatives of `first` and `second`
        d1 = (p1 * rest, -p1 * p2, -p1 * p3)
        d2 = (-p1 * p2, p2 * (p1 + p3), -p2 * p3)

        def change_of_first(d: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            return -2 * (rest * (d[1] + d[2]) + p2 * d[1] + p3 * d[2])

        def change_of_second(d: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            return d[0] * (2 * p2 + p3) + d[1] * (2 * p1 + p3) + d[2] * (p1 + p2 - 2 * p3)

        h11 = 2 * (d1[0] * first + p1 * change_of_first(d1))
        h12 = 2 * (d2[0] * first + p1 * change_of_first(d2))
        h22 = 2 * (d2[1] * second + p2 * change_of_second(d2))
        return matrix([[h11, h12], [h12, h22]])

    return Surface("squared error of a softmax", 2, value, gradient, hessian, _no_minimum())
