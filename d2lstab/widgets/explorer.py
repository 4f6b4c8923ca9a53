"""Knobs on a picture: a pure function of a few numbers, drawn again when one of them changes."""

import html
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import matplotlib as mpl
from matplotlib.figure import Figure

from d2lstab.plots import style
from d2lstab.widgets.knobs import knob

__all__ = ["Explorer"]

MOST_KNOBS = 3
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


class Explorer(ipywidgets.VBox):
    """A picture and the knobs that change it.

    `draw(ax, **values)` draws one state on empty axes of a fixed size;
    `axes=(rows, columns)` asks for several, which `draw` then gets as an array.
    A function whose parameters are the knobs alone returns a `Figure` instead.
    Drawing is pure: the same values give the same picture.

    `knobs` maps up to three parameters of `draw` to an ipywidgets widget with a
    `.value`, or to a specification (see `knobs.knob`): `(low, high)`, `(low, high, step)`
    or a list of options. A specification starts at the parameter's default.
    `alt` says in a sentence what the first state shows; `size` is in inches of
    100 pixels.

    Where a kernel runs, the knobs can be turned; everywhere else the same output
    is a PNG of the first state. An error of `draw` is a sentence under the
    picture, except in the first state, where it is raised. The knobs' widgets are
    `explorer.knobs[name]`, the picture is `explorer.image`, the sentence `explorer.message`.

    Raises:
        ValueError: not one to three knobs, a name that `draw` does not take, a bad range.
        TypeError: `draw` is not callable, a knob cannot be understood.

    >>> def line(ax, slope=1.0):
    ...     ax.plot([0, 1], [0, slope])
    >>> explorer = Explorer(line, {"slope": (-2.0, 2.0, 0.5)}, alt="A line that rises.")
    >>> explorer
    Explorer(slope)
    >>> explorer.knobs["slope"].value
    1.0
    """

    def __init__(
        self,
        draw: Callable[..., Any],
        knobs: Mapping[str, Any],
        *,
        alt: str = "",
        axes: tuple[int, int] = (1, 1),
        size: tuple[float, float] | None = None,
    ) -> None:
        defaults, self._takes_axes = _parameters(draw, knobs)
        self._draw, self._axes, self._size = draw, axes, size
        self._alt = style.alternative_text(alt) if alt else ""
        self.knobs = {name: knob(name, knobs[name], defaults.get(name)) for name in knobs}
        self._first = self._picture()
        self.image = ipywidgets.Image(
            value=self._first,
            format="png",
            width=str(self._width),
            layout=ipywidgets.Layout(max_width="100%", height="auto", object_fit="contain"),
        )
        self.message = ipywidgets.HTML("")
        # The Image widget has no alt, and its view fails on a tooltip.
        described = ipywidgets.HTML(f'<span style="{_UNSEEN}">{html.escape(self._alt)}</span>')
        super().__init__([*self.knobs.values(), self.image, described, self.message])
        for widget in self.knobs.values():
            widget.observe(self._redraw, names="value")

    def __repr__(self) -> str:
        return f"Explorer({', '.join(self.knobs)})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = style.bundle(self._first, self._width, self._alt, repr(self))
        live = super()._repr_mimebundle_(**kwargs) or {}
        return live | data, metadata

    def _values(self) -> dict[str, Any]:
        return {name: widget.value for name, widget in self.knobs.items()}

    def _picture(self) -> bytes:
        with mpl.rc_context(style.STYLE):
            if self._takes_axes:
                fig, axes = style.figure(*self._axes, size=self._size)
                self._draw(axes, **self._values())
            else:
                fig = self._draw(**self._values())
                _forget(fig)
            self._width = style.page_width(fig)
            return style.render(fig)

    def _redraw(self, _change: object) -> None:
        try:
            self.image.value = self._picture()
        except Exception as error:
            at = ", ".join(f"{name} = {value}" for name, value in self._values().items())
            said = html.escape(f"Not drawn at {at}: {type(error).__name__}: {error}")
            self.message.value = f"<b>{said}</b>"
        else:
            self.message.value = ""


def _parameters(draw: Callable[..., Any], knobs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The defaults of `draw`'s parameters, and whether it draws on axes that it is given."""
    if not callable(draw):
        raise TypeError(
            f"draw must be a function of the knobs' values, got {type(draw).__name__}: "
            "pass draw(ax, **values)"
        )
    if not isinstance(knobs, Mapping):
        raise TypeError(
            f"knobs must be a mapping of names to knobs, got {type(knobs).__name__}: "
            'pass {"depth": (1, 20)}, for example'
        )
    if not 1 <= len(knobs) <= MOST_KNOBS:
        raise ValueError(
            f"knobs must be one to {MOST_KNOBS} knobs, got {len(knobs)}: "
            "a reader cannot follow more at once, fix the others in draw"
        )
    parameters = inspect.signature(draw).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = [p for p in parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    unknown = [name for name in knobs if name not in {p.name for p in named} and not open_ended]
    if unknown:
        raise ValueError(
            f"knobs must be named as parameters of draw, got {', '.join(map(repr, unknown))}: "
            f"draw takes {', '.join(p.name for p in named)}"
        )
    defaults = {p.name: p.default for p in named if p.default is not p.empty}
    takes_axes = bool(named) and named[0].name not in knobs and named[0].default is named[0].empty
    return defaults, takes_axes


def _forget(fig: object) -> None:
    """Check what `draw` returned, and close it where pyplot keeps it."""
    if not isinstance(fig, Figure):
        raise TypeError(
            f"draw must return a Figure or take axes to draw on, got {type(fig).__name__}: "
            "write draw(ax, ...) with ax first"
        )
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)
