"""The self-check of the environment: the same words on every machine where all is well."""

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["check_environment"]


def _python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - a student's kernel may be older than the package asks
        raise RuntimeError(
            f"Python must be 3.11 or newer, got {sys.version.split()[0]}: choose another kernel"
        )


def _gradient() -> None:
    import torch

    x = torch.tensor(3.0, requires_grad=True)
    (slope,) = torch.autograd.grad(x**2, x)
    if float(slope) != 6.0:
        raise RuntimeError(f"the gradient of x^2 at 3 must be 6, got {float(slope)}")


def _digits() -> None:
    from d2lstab.specimens.data import all_digits

    inputs, _ = all_digits()
    if tuple(inputs.shape) != (1797, 64):
        raise RuntimeError(f"the digits must have shape (1797, 64), got {tuple(inputs.shape)}")


def _figures() -> None:
    from d2lstab.plots import figure
    from d2lstab.plots.style import render

    fig, ax = figure()
    ax.plot([0, 1])
    render(fig)


def _widgets() -> None:
    importlib.import_module("ipywidgets")


def _scratch() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        Path(folder, "probe").write_text("x", encoding="utf-8")


_CHECKS: dict[str, Callable[[], object]] = {
    "Python is recent enough": _python,
    "torch computes a gradient": _gradient,
    "the digits are here, offline": _digits,
    "figures can be drawn": _figures,
    "knobs can be shown": _widgets,
    "scratch files can be written": _scratch,
}


def check_environment(further: Mapping[str, Callable[[], object]] | None = None) -> bool:
    """Try each thing that the notebooks need, and print a line for each.

    Args:
        further: a sentence -> a function that raises where the sentence is not true;
            tried after the checks of this file.

    Returns:
        Whether all of them work. What does not work is named with its reason; the
        other checks still run.
    """
    checks = _CHECKS | dict(further or {})
    failed = 0
    for sentence, works in checks.items():
        try:
            works()
        except Exception as error:
            failed += 1
            print(f"NOT YET  {sentence}: {type(error).__name__}: {error}")
        else:
            print(f"ok       {sentence}")
    if failed:
        print(f"{failed} of {len(checks)} checks failed: see the README, 'Start'.")
    else:
        print("Everything the course needs is here.")
    return failed == 0
