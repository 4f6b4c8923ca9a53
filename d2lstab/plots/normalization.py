"""What normalization does to a loss surface, and to the values of a batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS

__all__ = ["draw_bowl", "draw_distributions"]


def draw_bowl(
    ax: Axes,
    hessian: Any,
    path: Any,
    *,
    title: str,
    minimum: Any = (0.0, 0.0),
    names: tuple[str, str] = ("$w_1$", "$w_2$"),
) -> None:
    """Draw the contours of a quadratic of two weights and a descent on it, to scale.

        L(w) = (w - minimum)^T H (w - minimum) / 2

    Args:
        ax: the axes to draw on; both directions get the same scale.
        hessian: H, positive definite, of shape (2, 2).
        path: the points of the descent, (steps, 2).
        title: the finding, in words.
        minimum: where the surface is 0.
        names: the two weights.

    The six contours lie at equal steps of sqrt(L), so that a round bowl has equally spaced
    circles.

    Raises:
        ValueError: `hessian` is not a positive definite 2 x 2 matrix, or `path` not (steps, 2).
    """
    H, points = np.asarray(hessian, dtype=float), np.asarray(path, dtype=float)
    if H.shape != (2, 2) or not np.all(np.linalg.eigvalsh(H) > 0):
        raise ValueError(
            f"hessian must be a positive definite 2 x 2 matrix, got {H.tolist()}: "
            "pass the Hessian of two weights"
        )
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f"path must be of shape (steps, 2), got {points.shape}: pass trajectory.points"
        )
    center = np.asarray(minimum, dtype=float)
    reach = 1.15 * np.abs(points - center).max()
    offsets = np.linspace(-reach, reach, 401)
    u, v = np.meshgrid(offsets, offsets)
    height = 0.5 * (H[0, 0] * u**2 + 2 * H[0, 1] * u * v + H[1, 1] * v**2)
    levels = height.max() * np.linspace(0.08, 0.9, 6) ** 2
    ax.contour(center[0] + u, center[1] + v, height, levels, colors="0.6", linewidths=1.0)
    ax.plot(points[:, 0], points[:, 1], color=COLORS[0], marker="o", markersize=3, linewidth=1.2)
    ax.plot(*center, marker="*", markersize=11, color=COLORS[1], linestyle="none")
    ax.set_box_aspect(1)  # with equal spans the scale is the same; it leaves room for the title
    ax.set_xlim(center[0] - reach, center[0] + reach)
    ax.set_ylim(center[1] - reach, center[1] + reach)
    ax.set_title(title)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])


def draw_distributions(
    ax: Axes,
    samples: Mapping[str, Any],
    *,
    title: str,
    xlabel: str,
    span: tuple[float, float],
    bins: int = 12,
) -> None:
    """Draw the histogram of each sample as an outline; 64 values or fewer as a tick each, too.

    Args:
        ax: the axes to draw on.
        samples: label -> its values.
        title: the finding, in words.
        xlabel: quantity and unit.
        span: the ends of the axis; values outside are counted in the bin at the end.
        bins: the number of bins.

    The height is the share of the values in a bin.

    Raises:
        ValueError: no sample, one that is empty or not finite, or an empty span.
    """
    low, high = span
    if not low < high:
        raise ValueError(f"span must be (low, high) with low < high, got {span}: widen it")
    if not samples:
        raise ValueError("samples must hold at least one sample, got none: pass label -> values")
    edges = np.linspace(low, high, bins + 1)
    for i, (name, sample) in enumerate(samples.items()):
        values = np.asarray(sample, dtype=float).ravel()
        if not values.size or not np.all(np.isfinite(values)):
            raise ValueError(
                f"the sample {name!r} must hold finite values, got {values.size} values, "
                f"{int((~np.isfinite(values)).sum())} of them not finite: leave those out"
            )
        counts, _ = np.histogram(values.clip(low, high), edges)
        color = COLORS[i % len(COLORS)]
        shares = np.append(counts, counts[-1]) / values.size
        ax.step(edges, shares, where="post", label=name, color=color)
        if values.size <= 64:
            row = np.full(values.size, 0.03 + 0.05 * i)  # a fraction of the axes' height
            places, across = values.clip(low, high), ax.get_xaxis_transform()
            ax.plot(places, row, "|", color=color, markersize=9, label="_values", transform=across)
    ax.set_xlim(low, high)
    ax.set_ylim(bottom=0)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel("share of the values")
    if len(samples) > 1:
        ax.legend()
