"""What a floating-point format can hold."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS

__all__ = ["draw_formats"]


def draw_formats(
    ax: Axes,
    formats: Mapping[str, Any],
    *,
    span: tuple[float, float] | None = None,
    marked: Mapping[str, float] | None = None,
    title: str = "What a format can hold",
) -> None:
    """Draw the range of each format as a bar over the positive numbers, on a log axis.

    Args:
        ax: the axes to draw on.
        formats: label -> an object with `.largest .smallest_normal .smallest_subnormal`,
            as `theory.formats.float_format` gives.
        span: (smallest, largest) of the numbers that are to be held, in gray.
        marked: label -> a number, a black line.
        title: the finding, in words.

    The thick bar are the normal numbers, the thin one the subnormal, whose precision
    decreases to the left. Above lies infinity, below 0.

    Raises:
        ValueError: no format, a mark or an end of the span that is not positive.
    """
    if not formats:
        raise ValueError("formats must hold at least one format, got none: pass label -> format")
    numbers = [*(span or ()), *(marked or {}).values()]
    if not all(0 < number < float("inf") for number in numbers):
        raise ValueError(
            f"span and marked must be positive numbers, got {numbers}: pass absolute values"
        )
    ax.set_xscale("log")
    if span is not None:
        ax.axvspan(*span, color="0.88", zorder=0.5, linewidth=0)
    for number in (marked or {}).values():
        ax.axvline(number, color="black", linewidth=1.2)
    for i, (name, held) in enumerate(formats.items()):
        normal, subnormal = (held.smallest_normal, held.largest), held.smallest_subnormal
        color = COLORS[i % len(COLORS)]
        ax.plot([subnormal, normal[0]], [i, i], color=color, lw=4, ls="-", solid_capstyle="butt")
        ax.plot(normal, [i, i], color=color, lw=13, ls="-", solid_capstyle="butt", label=name)
    ax.set_yticks(range(len(formats)), list(formats))
    ax.set_ylim(len(formats) - 0.4, -0.6 - 0.35 * bool(marked))
    for name, number in (marked or {}).items():
        where: Any = ("data", "axes fraction")
        ax.annotate(
            name,
            (number, 0.985),
            xycoords=where,
            xytext=(4, 0),
            va="top",
            fontsize=9,
            textcoords="offset points",
        )
    ax.grid(axis="y", visible=False)
    ax.set_title(title)
    ax.set_xlabel("absolute value of a number")
