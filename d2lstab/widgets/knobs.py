"""One knob: a slider or a list of options, made from a short specification."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import ipywidgets

__all__ = ["knob"]

_WAYS = "pass (low, high), (low, high, step), a list of options, or an ipywidgets widget"
_LAYOUT = {"width": "420px", "max_width": "100%"}


def knob(name: str, specification: Any, value: Any = None) -> Any:
    """The widget of one knob; `value` is where it starts, the lowest or first without it.

    A widget with a `.value` is taken as it is; `(low, high)` and `(low, high, step)`
    become a slider, over integers where all are; a list of options becomes a
    slider over them where they are numbers, and otherwise a drop-down list.

    Raises:
        ValueError: an empty range, a step that is not positive, no options, or a
            `value` outside of them.
        TypeError: the specification is none of these.

    >>> knob("depth", (2, 20)).step
    1
    """
    if isinstance(specification, ipywidgets.Widget):
        if not specification.has_trait("value"):
            raise TypeError(
                f"knob {name} must be a widget with a value, got "
                f"{type(specification).__name__}: {_WAYS}"
            )
        return specification
    if isinstance(specification, tuple):
        return _slider(name, specification, value)
    if isinstance(specification, Sequence) and not isinstance(specification, str | bytes):
        return _options(name, list(specification), value)
    raise TypeError(
        f"knob {name} must be a range or options, got {type(specification).__name__}: {_WAYS}"
    )


def _slider(name: str, limits: tuple[Any, ...], value: Any) -> Any:
    real = [isinstance(n, numbers.Real) and not isinstance(n, bool) for n in limits]
    if not all(real) or len(limits) not in (2, 3):
        raise TypeError(f"knob {name} must be two or three numbers, got {limits!r}: {_WAYS}")
    low, high, *rest = limits
    whole = all(isinstance(n, numbers.Integral) for n in limits)
    step = rest[0] if rest else (1 if whole else (high - low) / 20)
    if not (math.isfinite(low) and math.isfinite(high) and low < high and 0 < step < math.inf):
        raise ValueError(
            f"knob {name} must be a finite range with low < high and a positive step, "
            f"got {limits!r}: {_WAYS}"
        )
    start = low if value is None else value
    if not low <= start <= high:
        raise ValueError(
            f"knob {name} must start between {low} and {high}, got {start!r}: "
            "change the parameter's default or the range"
        )
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return slider(
        value=start,
        min=low,
        max=high,
        step=step,
        description=_text(name),
        continuous_update=False,
        style={"description_width": "120px"},
        layout=_LAYOUT,
    )


def _options(name: str, options: list[Any], value: Any) -> Any:
    if len(options) < 2:
        raise ValueError(f"knob {name} must have at least two options, got {options!r}: {_WAYS}")
    start = options[0] if value is None else value
    if start not in options:
        raise ValueError(
            f"knob {name} must start at one of {options!r}, got {start!r}: "
            "change the parameter's default or the options"
        )
    common = {
        "options": options,
        "value": start,
        "description": _text(name),
        "style": {"description_width": "120px"},
        "layout": _LAYOUT,
    }
    if all(isinstance(o, numbers.Real) and not isinstance(o, bool) for o in options):
        return ipywidgets.SelectionSlider(continuous_update=False, **common)
    return ipywidgets.Dropdown(**common)


def _text(name: str) -> str:
    return name.replace("_", " ")
