"""What is written onto a plot: labels at the ends of lines, marks where a curve breaks off."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from d2lstab.plots.style import STYLE

__all__ = ["label_ends", "mark_nonfinite"]


def label_ends(ax: Axes, at_most: int = 5) -> None:
    """Write each line's label beside its last finite point; a legend where they are too many.

    Call it when everything is drawn and the limits are set: labels that would
    overlap are moved apart, in the order of their lines' ends.
    """
    ax.get_xlim(), ax.get_ylim()  # brings the transformations up to date
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    ends = [end for line in lines if (end := _end(ax, line)) is not None]
    if len(ends) > at_most:
        ax.legend()
        return
    ends.sort(key=lambda end: end[2])
    size = float(STYLE["legend.fontsize"])
    gap = 1.3 * size * STYLE["figure.dpi"] / 72 / ax.get_window_extent().height
    for (line, x, height), y in zip(ends, _apart([e[2] for e in ends], gap), strict=True):
        outside = ax.transLimits.transform((ax.transScale.transform((x, 1.0))[0], 0.0))[0] > 0.9
        ax.annotate(
            str(line.get_label()),
            xy=(x, y if outside else height),
            xycoords=("data", "axes fraction"),
            xytext=(6, 0) if outside else (4, -26 if height > 0.8 else -11),
            textcoords="offset points",
            color=line.get_color(),
            fontsize=size,
            va="center",
            annotation_clip=False,
        )


def _end(ax: Axes, line: Line2D) -> tuple[Line2D, float, float] | None:
    """The last point that can be seen: its x in data, its y as a fraction of the height."""
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    seen = np.isfinite(x) & np.isfinite(y)
    if ax.get_yscale() == "log":
        seen &= y > 0
    if not seen.any():
        return None
    last = np.flatnonzero(seen)[-1]
    pixel = line.get_transform().transform((x[last], y[last]))
    height = ax.transAxes.inverted().transform(pixel)[1]
    return line, float(x[last]), float(np.clip(height, 0.0, 1.0))


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Sorted heights, moved as little as possible (least squares) to be `gap` apart in 0..1."""
    groups: list[list[float]] = []  # of heights less their own gaps: equal within a group
    for i, height in enumerate(heights):
        groups.append([height - i * gap])
        while len(groups) > 1 and np.mean(groups[-2]) >= np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    level = [float(np.mean(group)) for group in groups for _ in group]
    highest = 1.0 - (len(heights) - 1) * gap
    return [max(min(base, highest), 0.0) + i * gap for i, base in enumerate(level)]


def mark_nonfinite(ax: Axes, x: Any, y: Any, color: str = "#a00000", name: str = "") -> None:
    """Mark what a curve cannot show, so that it is never a silent gap.

    NaN is a cross and infinity a triangle at the upper edge; minus infinity, and on
    a log axis whatever is not positive, is a triangle at the lower edge. The first of
    each kind is named, with the curve's `name` where nothing of it can be seen. Each
    call takes a row of its own, so that several curves do not hide each other.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    log = ax.get_yscale() == "log"
    low = y <= 0 if log else np.isneginf(y)
    kinds = [(np.isnan(y), "x", "NaN"), (np.isposinf(y), "^", "inf"), (low, "v", "0 or less")]
    if log and not (y < 0).any():
        kinds[2] = (low, "v", "0")
    elif not log:
        kinds[2] = (low, "v", "\N{MINUS SIGN}inf")
    prefix = f"{name} " if name and np.logical_or.reduce([k[0] for k in kinds]).all() else ""
    for mask, marker, label in kinds:
        if mask.any():
            edge = "low" if marker == "v" else "high"
            level = _free_row(ax, edge, color)
            _mark(ax, x[mask], level, edge, {"marker": marker, "color": color, "label": label})
            _name_mark(ax, float(x[mask][0]), level, edge, prefix + label, color)


def _free_row(ax: Axes, edge: str, color: str) -> float:
    """The height of a curve's row of marks, as a fraction of the axes' height."""
    rows: list[str] = []
    for line in ax.get_lines():
        if line.get_gid() == f"nonfinite {edge}" and line.get_color() not in rows:
            rows.append(str(line.get_color()))
    row = rows.index(color) if color in rows else len(rows)
    return 0.97 - 0.11 * row if edge == "high" else 0.03 + 0.11 * row


def _mark(ax: Axes, x: np.ndarray, level: float, edge: str, look: dict[str, str]) -> None:
    ax.plot(
        x,
        np.full(len(x), level),
        linestyle="none",
        markersize=6,
        transform=ax.get_xaxis_transform(),
        clip_on=False,
        gid=f"nonfinite {edge}",
        **(look | {"label": f"_{look['label']}"}),  # type: ignore[arg-type]
    )


def _name_mark(ax: Axes, x: float, level: float, edge: str, text: str, color: str) -> None:
    ax.annotate(
        text,
        xy=(x, level),
        xycoords=("data", "axes fraction"),
        xytext=(-4, -13 if edge == "high" else 7),
        textcoords="offset points",
        color=color,
        fontsize=float(STYLE["legend.fontsize"]),
    )
