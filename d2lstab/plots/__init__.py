"""Pictures of results: each function takes `Axes` and a result, and draws it."""

from d2lstab.plots.curvature import draw_eigenvectors, draw_spectrum
from d2lstab.plots.curves import draw_curves
from d2lstab.plots.formats import draw_formats
from d2lstab.plots.jacobians import draw_singular_values
from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.named_values import draw_named_values
from d2lstab.plots.normalization import draw_bowl, draw_distributions
from d2lstab.plots.paths import draw_paths
from d2lstab.plots.phase_plane import draw_phase_plane
from d2lstab.plots.quantiles import draw_quantiles
from d2lstab.plots.random_products import draw_log_norms
from d2lstab.plots.signals import draw_compared_signals, draw_signals
from d2lstab.plots.style import draw_theory, figure, show
from d2lstab.plots.training import draw_histories

__all__ = [
    "draw_bowl",
    "draw_compared_signals",
    "draw_curves",
    "draw_distributions",
    "draw_eigenvectors",
    "draw_formats",
    "draw_histories",
    "draw_log_norms",
    "draw_named_values",
    "draw_paths",
    "draw_phase_plane",
    "draw_quantiles",
    "draw_signals",
    "draw_singular_values",
    "draw_spectrum",
    "draw_theory",
    "figure",
    "label_ends",
    "mark_nonfinite",
    "show",
]
