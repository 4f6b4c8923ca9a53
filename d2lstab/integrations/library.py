"""The d2l library, imported safely beside today's numpy, matplotlib and torch."""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from d2lstab.integrations.torchvision import importable_torchvision

__all__ = ["load"]

_INSTALL = (
    "run `make d2l`, or `python -m pip install --no-deps d2l==1.0.3` and then "
    "`python -m pip install pandas requests`"
)


def load() -> ModuleType:
    """The module `d2l.torch`, imported safely beside today's numpy, matplotlib and torch.

    A working torchvision is used as it is. Where it is missing or broken a
    placeholder takes its place, inside `d2l.torch` alone: what needs it says so
    when it is used, and everything else works. The settings of matplotlib stay
    as they were, and nothing is printed or warned of.

    Raises:
        ImportError: d2l, or something that it imports, is not installed.

    Source: Zhang, Lipton, Li and Smola (2023), Dive into Deep Learning, d2l 1.0.3.
    """
    loaded = sys.modules.get("d2l.torch")
    if loaded is not None:
        return loaded
    if importlib.util.find_spec("d2l") is None:
        raise ImportError(f"d2l must be installed, got no package named d2l: {_INSTALL}")
    with warnings.catch_warnings(), _matplotlib_as_it_was(), importable_torchvision():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("d2l.torch")
        except ImportError as error:
            raise ImportError(f"d2l must be importable, got {error!r}: {_INSTALL}") from error


@contextmanager
def _matplotlib_as_it_was() -> Iterator[None]:
    try:
        # In a notebook this switches the inline backend on, as the first figure would;
        # done here, it is not undone with the rest.
        importlib.import_module("matplotlib_inline.backend_inline")
        from matplotlib import rc_context
    except ImportError:  # d2l needs both: its own import says what is missing
        yield
        return
    with rc_context():
        yield
