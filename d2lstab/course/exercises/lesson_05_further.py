"""Exercises of lesson 05: the verdict on a stuck run, and the rank of its Hessian."""

import math

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER", "TRIAGE"]


def _by_curvature(eigenvalues: list[float], relative: float = 1e-3) -> str:
    threshold = relative * max(abs(v) for v in eigenvalues)
    if min(eigenvalues) < -threshold:
        return "saddle"
    return "minimum" if min(eigenvalues) > threshold else "flat"


def _triage(loss: float, gradient_norm: float, eigenvalues: list[float]) -> str:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        return "diverged"
    return "not critical" if gradient_norm > 1e-4 else _by_curvature(eigenvalues)


def _curvature_first(loss: float, gradient_norm: float, eigenvalues: list[float]) -> str:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        return "diverged"
    kind = _by_curvature(eigenvalues)
    return kind if kind == "saddle" or gradient_norm <= 1e-4 else "not critical"


def _every_sign(loss: float, gradient_norm: float, eigenvalues: list[float]) -> str:
    found = _triage(loss, gradient_norm, eigenvalues)
    return found if found in ("diverged", "not critical") else _by_curvature(eigenvalues, 0.0)


def _no_flat(loss: float, gradient_norm: float, eigenvalues: list[float]) -> str:
    found = _triage(loss, gradient_norm, eigenvalues)
    return "minimum" if found == "flat" else found


TRIAGE = Exercise(
    id="05-triage",
    title="A verdict on a run that is stuck",
    inputs=(
        (math.nan, 0.5, [1.0, 2.0]),
        (0.3, 0.2, [-1.0, 2.0]),
        (0.3, 1e-6, [-1.0, 2.0]),
        (0.1, 1e-7, [-1e-9, 1e-9, 3.0]),
        (0.1, 1e-7, [0.5, 3.0]),
        (2.3, math.inf, [1.0, 1.0]),
        (0.0, 0.0, [0.0, 0.0]),
        (0.5, math.nan, [1.0, 2.0]),
    ),
    reference=_triage,
    mistakes=(
        Mistake(
            _curvature_first,
            "Curvature was asked before the gradient: where the gradient is not small the point "
            "is not critical, whatever the eigenvalues say.",
        ),
        Mistake(
            lambda loss, gradient_norm, eigenvalues: (
                "not critical" if gradient_norm > 1e-4 else _by_curvature(eigenvalues)
            ),
            "NaN and infinity come first: a comparison with NaN is false, and the run would "
            "pass for a minimum.",
        ),
        Mistake(
            _every_sign,
            "A sign within round-off of zero is not a direction down: use the threshold of 1/1000.",
        ),
        Mistake(
            _no_flat,
            "Where an eigenvalue is zero within the threshold the second order is silent: that is "
            "'flat', not a minimum.",
        ),
    ),
    hints=(
        "Ask in this order: finite? gradient small? any eigenvalue clearly negative? any zero?",
        "The threshold is 1e-3 times the largest magnitude; test with <, > and math.isfinite.",
    ),
    solution="""
def triage(loss, gradient_norm, eigenvalues):
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        return "diverged"
    if gradient_norm > 1e-4:
        return "not critical"  # first order decides, curvature is not asked
    threshold = 1e-3 * max(abs(v) for v in eigenvalues)
    if min(eigenvalues) < -threshold:
        return "saddle"
    return "minimum" if min(eigenvalues) > threshold else "flat"
""",
)

RANK_BOUND = Exercise(
    id="05-rank-bound",
    title="How many eigenvalues of the Gauss-Newton matrix can be other than zero",
    inputs=((10, 10, 226), (60, 10, 226), (5, 2, 1000), (1, 3, 7), (100, 2, 50)),
    reference=lambda samples, classes, parameters: min(parameters, samples * (classes - 1)),
    mistakes=(
        Mistake(
            lambda samples, classes, parameters: min(parameters, samples * classes),
            "A softmax does not notice if the same number is added to all logits: each sample "
            "has classes - 1 directions that matter.",
        ),
        Mistake(
            lambda samples, classes, parameters: samples * (classes - 1),
            "A matrix cannot have a rank above its size: the parameters bound it too.",
        ),
        Mistake(
            lambda samples, classes, parameters: min(parameters, (samples - 1) * (classes - 1)),
            "No sample is lost: the loss is not centered over the samples.",
        ),
        Mistake(
            lambda samples, classes, parameters: min(parameters, samples),
            "Each sample contributes more than one direction: as many as its logits can differ.",
        ),
    ),
    hints=(
        "Each sample adds J' (diag(p) - p p') J. What is the rank of the matrix in the middle?",
        "It is classes - 1, because it sends the vector of ones to zero. Ranks add up at most.",
    ),
    solution="""
def rank_bound(samples, classes, parameters):
    # diag(p) - p p' has rank classes - 1; a sum's rank is at most the sum of the ranks
    return min(parameters, samples * (classes - 1))
""",
)

FURTHER = (RANK_BOUND,)
