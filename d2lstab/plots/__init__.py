"""Pictures of results: each function takes `Axes` and a result, and draws it."""

from d2lstab.plots.curves import draw_curves
from d2lstab.plots.style import draw_theory, figure, label_ends, mark_nonfinite, show

__all__ = ["draw_curves", "draw_theory", "figure", "label_ends", "mark_nonfinite", "show"]
