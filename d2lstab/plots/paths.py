"""Walks over a loss surface of two parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from d2lstab.plots.style import COLORS, MARKERS

__all__ = ["draw_paths"]

GRID = 81  # points a side at which the surface is looked at


def draw_paths(
    ax: Axes,
    height: Callable[[Tensor], Tensor],
    paths: Mapping[str, Any],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    span: tuple[tuple[float, float], tuple[float, float]],
    minima: Any = (),
    levels: int | Sequence[float] = 9,
) -> None:
    """Draw the contours of a surface, and walks over it, each in its color and named.

    Args:
        ax: the axes to draw on.
        height: a function of points (..., 2), such as `surface.value`.
        paths: label -> points (steps + 1, 2); may be empty.
        title: the finding, in words.
        xlabel, ylabel: the two parameters.
        span: ((left, right), (bottom, top)) of the picture.
        minima: points (k, 2) that get a star.
        levels: how many contours, at equal steps of the root of the height over the lowest
            (a round bowl's are evenly spaced then), or their heights.

    A cross marks where a path starts. A point that is NaN or infinite is left out; what
    lies outside of `span` is cut off.

    Raises:
        ValueError: a path that is not of shape (steps, 2), an empty span, or a height that is
            not finite everywhere in it.
    """
    (left, right), (bottom, top) = span
    if not (left < right and bottom < top):
        raise ValueError(f"span must be ((low, high), (low, high)), got {span}: swap its ends")
    walks = {name: _walk(name, points) for name, points in paths.items()}
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(bottom, top, GRID))
    with torch.no_grad():
        z = height(torch.from_numpy(np.stack([x, y], axis=-1))).numpy()
    if z.shape != x.shape or not np.all(np.isfinite(z)):
        raise ValueError(
            f"height must be finite at every point of {span}, got shape {z.shape}: "
            "pass a function of points (..., 2), or a smaller span"
        )
    low, high = float(z.min()), float(z.max())
    if low < high:
        ax.contour(x, y, z, _heights(levels, low, high), colors="0.75", linewidths=0.9)
    for i, (name, points) in enumerate(walks.items()):
        color = COLORS[i % len(COLORS)]
        dots = {"marker": MARKERS[i % len(MARKERS)], "markersize": 3} if len(points) <= 40 else {}
        ax.plot(points[:, 0], points[:, 1], label=name, color=color, linewidth=1.3, **dots)  # type: ignore[arg-type]
        ax.plot(*points[0], marker="x", markersize=8, color="black", linestyle="none", zorder=4)
    for point in np.asarray(minima, dtype=float).reshape(-1, 2):
        ax.plot(*point, marker="*", markersize=11, color="black", linestyle="none", zorder=4)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.grid(False)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if any(walks):
        ax.legend(loc="best")


def _heights(levels: int | Sequence[float], low: float, high: float) -> np.ndarray:
    if isinstance(levels, Sequence):
        return np.asarray(levels, dtype=float)
    return low + (high - low) * np.linspace(0, 1, levels + 2)[1:-1] ** 2


def _walk(name: str, points: Any) -> np.ndarray:
    walk = np.asarray(points, dtype=float)
    if walk.ndim != 2 or walk.shape[1] != 2 or not len(walk):
        raise ValueError(
            f"the path {name!r} must be of shape (steps, 2), got {walk.shape}: "
            "pass trajectory.points"
        )
    return np.where(np.isfinite(walk), walk, np.nan)
