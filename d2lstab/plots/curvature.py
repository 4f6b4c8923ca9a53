"""Curvature drawn: eigenvectors at a point, and a spectrum with its threshold of zero."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS

__all__ = ["draw_eigenvectors", "draw_spectrum"]


def draw_eigenvectors(ax: Axes, point: Any, matrix: Any, *, length: float = 0.5) -> None:
    """Draw both eigenvectors of a 2 x 2 Hessian through a point, to both sides.

    Args:
        ax: axes of the two parameters.
        point: where, two numbers.
        matrix: the Hessian there, 2 x 2, symmetric.
        length: of each half, in the axes' unit.

    A direction of positive curvature is solid and blue, one of negative curvature dashed and
    orange; a curvature of exactly 0 is gray.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    at, hessian = np.asarray(point, dtype=float), np.asarray(matrix, dtype=float)
    if at.shape != (2,) or hessian.shape != (2, 2):
        raise ValueError(
            f"point and matrix must be of shapes (2,) and (2, 2), got {at.shape} and "
            f"{hessian.shape}: only a surface of two parameters can be drawn"
        )
    if not (np.isfinite(at).all() and np.isfinite(hessian).all()):
        raise ValueError("point and matrix must be finite, got NaN or infinity: stop before it")
    for value, u in zip(*_eigen(hessian), strict=True):
        color, line = ("0.5", ":") if value == 0 else (COLORS[int(value < 0)], "-")
        ends = np.stack([at - length * u, at + length * u])
        ax.plot(*ends.T, color=color, linestyle="--" if value < 0 else line, linewidth=2.4)
    ax.plot(*at, marker="o", color="black", markersize=5, zorder=5)


def _eigen(hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(hessian)
    return values, vectors.T


def draw_spectrum(ax: Axes, eigenvalues: Any, *, threshold: float, title: str) -> None:
    """Draw the magnitudes of all eigenvalues by rank, their signs told apart, and a threshold.

    Args:
        ax: the axes to draw on.
        eigenvalues: all of them, in any order and unit.
        threshold: relative to the largest magnitude; below it an eigenvalue counts as zero.
        title: the finding, in words.

    The vertical axis is |eigenvalue| / largest |eigenvalue|, cut off at 1e-18, where a zero
    is drawn too.

    Raises:
        ValueError: no eigenvalue, one that is not finite, all zero, or a threshold not positive.
    """
    values = np.asarray(eigenvalues, dtype=float).ravel()
    if values.size == 0 or not np.isfinite(values).all() or not np.abs(values).max() > 0:
        raise ValueError(
            f"eigenvalues must be finite and not all zero, got {values.size} of them: "
            "pass the spectrum of a Hessian"
        )
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold}: pass 1e-3, for example")
    values = values[np.argsort(-np.abs(values), kind="stable")]
    sizes = np.maximum(np.abs(values) / np.abs(values[0]), 1e-18)
    ranks = np.arange(1, len(values) + 1)
    signs = (
        ("positive", values > 0, "o"),
        ("negative", values < 0, "s"),
        ("zero", values == 0, "^"),
    )
    for i, (name, chosen, marker) in enumerate(signs):
        if chosen.any():
            ax.plot(
                ranks[chosen], sizes[chosen], linestyle="none", marker=marker, markersize=3,
                color=COLORS[i], label=name,
            )  # fmt: skip
    ax.axhline(threshold, color="black", linewidth=1.2)
    ax.set_yscale("log")
    ax.set_title(title)
    ax.set_xlabel("rank of the eigenvalue by magnitude")
    ax.set_ylabel("|λ| / largest |λ|")
    ax.legend(loc="lower left")
