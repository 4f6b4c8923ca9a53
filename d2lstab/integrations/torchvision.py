"""A torchvision that can always be imported: the real one, or a placeholder that speaks.

torchvision fails to import beside a torch of another build ("operator
torchvision::nms does not exist"), and code that only mentions it fails with it.
"""

import importlib
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["importable_torchvision"]


class _Placeholder(types.ModuleType):
    """Stands where torchvision should be, and says so when something is asked of it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, "A placeholder: torchvision is missing or broken.")
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system and `inspect` probe for these
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise ImportError(
            f"{self.__name__}.{name} must come from a working torchvision, got {self._reason}: "
            f"install the torchvision that was built for torch {torch.__version__}, and restart "
            "Python"
        )


def _loaded() -> dict[str, Any]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name == "torchvision" or name.startswith("torchvision.")
    }


def _replace(modules: dict[str, Any]) -> None:
    for name in _loaded():
        del sys.modules[name]
    sys.modules.update(modules)


@contextmanager
def importable_torchvision() -> Iterator[None]:
    """Let `import torchvision` succeed inside the `with` block.

    A working torchvision is imported and stays. A missing or broken one is
    replaced by a placeholder, whose attributes raise `ImportError` with the
    reason; on leaving, `sys.modules` holds again what it held before.

    >>> with importable_torchvision():
    ...     from torchvision import transforms
    """
    before = _loaded()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a torchvision without image codecs only warns
            importlib.import_module("torchvision.transforms")
    except Exception as error:  # a build for another torch raises RuntimeError or OSError
        reason = f"{type(error).__name__} ({error})"
    else:
        yield
        return
    placeholder = _Placeholder("torchvision", reason)
    transforms = _Placeholder("torchvision.transforms", reason)
    vars(placeholder)["transforms"] = transforms
    _replace({"torchvision": placeholder, "torchvision.transforms": transforms})
    try:
        yield
    finally:
        _replace(before)
