"""Why deep networks fail to train, and how to make them train.

Every lesson lays a prediction of the mathematics (`d2lstab.theory`) beside a
measurement of a real network (`d2lstab.measure`). Nothing heavy is imported
here: a room is loaded when it is first used.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "theory",
    "specimens",
    "measure",
    "optimize",
    "plots",
    "widgets",
    "course",
    "integrations",
)


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS]
