"""How every figure of the course looks, and how it is shown with its alternative text."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = [
    "COLORS",
    "MARKERS",
    "STYLE",
    "apply",
    "draw_theory",
    "figure",
    "label_ends",
    "mark_nonfinite",
    "render",
    "show",
]

# Okabe and Ito (2008), without the yellow that is too pale for a line: safe for
# color-blind readers. Black is kept for theory.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")  # in the order of the colors
WIDTH, HEIGHT = 7.2, 3.6  # inches, one inch being 100 pixels of the page
DOTS, PAGE_DOTS = 144, 100  # pixels per inch: of the PNG, and of the page it is shown on

STYLE: Any = {
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.dpi": PAGE_DOTS,
    "figure.facecolor": "white",
    "savefig.dpi": DOTS,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=_LINES),
    "axes.formatter.useoffset": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
}


def apply() -> None:
    """Give every figure made from now on the look of the course (`course.start` calls this)."""
    mpl.rcParams.update(STYLE)


def figure(
    rows: int = 1, cols: int = 1, size: tuple[float, float] | None = None, **options: Any
) -> tuple[Figure, Any]:
    """A figure of fixed size and its axes: one `Axes`, or an array of them.

    Without `size` (width, height in inches of 100 pixels) the width is that of a
    notebook's page and each row is as high as a single figure, or a little less.
    `options` go to `Figure.subplots` (`sharex`, `sharey`, `width_ratios`). The
    figure is not known to pyplot: it is garbage when the last name for it goes.

    >>> fig, (left, right) = figure(1, 2)
    >>> fig.get_size_inches().tolist()
    [7.2, 3.6]
    """
    if size is None:
        size = (WIDTH, HEIGHT if rows == 1 else 0.8 * HEIGHT * rows)
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, cols, **options)


def render(fig: Figure) -> bytes:
    """The figure as a PNG of its fixed size; equal figures give equal bytes on one machine."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()


def page_width(fig: Figure) -> int:
    """The width in pixels at which the figure is shown on a page."""
    return round(fig.get_size_inches()[0] * PAGE_DOTS)


def show(fig: Figure, alt: str) -> None:
    """Show a figure as a PNG with its alternative text, which says what there is to see.

    The text is stored as the output's plain text, where readers without pictures
    and nbval find it, and as `alt` in the metadata, where nbconvert does.

    Raises:
        ValueError: `alt` is empty.
        TypeError: `fig` is not a figure or `alt` not a string.
    """
    if not isinstance(fig, Figure):
        raise TypeError(
            f"fig must be a matplotlib Figure, got {type(fig).__name__}: "
            "pass the first result of figure()"
        )
    data, metadata = bundle(render(fig), page_width(fig), alternative_text(alt), "Figure")
    from IPython.display import display

    display(data, metadata=metadata, raw=True)


def alternative_text(alt: object) -> str:
    """The text, on one line, where there is one."""
    if not isinstance(alt, str):
        raise TypeError(
            f"alt must be a string, got {type(alt).__name__}: say in a sentence what can be seen"
        )
    if not alt.strip():
        raise ValueError(
            f"alt must be a non-empty string, got {alt!r}: say in a sentence what can be seen"
        )
    return " ".join(alt.split())


def bundle(
    png: bytes, width: int, alt: str, prefix: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What a notebook stores of a picture: its data and their metadata by MIME type."""
    data = {
        "image/png": base64.b64encode(png).decode("ascii"),
        "text/plain": f"{prefix}: {alt}" if alt else prefix,
    }
    return data, {"image/png": {"alt": alt or prefix, "width": width}}


def draw_theory(ax: Axes, x: Any, y: Any, label: str = "theory", **options: Any) -> Line2D:
    """Draw a prediction: a thin black line that lies under the measurements."""
    drawn: dict[str, Any] = {
        "color": "black",
        "linestyle": "-",
        "linewidth": 1.2,
        "zorder": 1.8,
    } | options
    (line,) = ax.plot(x, y, label=label, **drawn)
    return line


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
