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
        (math.inf, 0.0, [1.0]),
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


def _rank(loss: str, samples: int, outputs: int, parameters: int) -> int:
    each = outputs - 1 if loss == "cross-entropy" else outputs
    return min(parameters, samples * each)


RANK_BOUNDS = Exercise(
    id="05-rank-bounds",
    title="How many eigenvalues of the Gauss-Newton matrix can be other than zero",
    inputs=(
        ("cross-entropy", 10, 10, 226),
        ("squared", 10, 10, 226),
        ("cross-entropy", 60, 10, 226),
        ("squared", 5, 1, 1000),
        ("cross-entropy", 1, 3, 7),
        ("squared", 100, 2, 50),
    ),
    reference=_rank,
    mistakes=(
        Mistake(
            lambda loss, samples, outputs, parameters: min(parameters, samples * outputs),
            "A softmax does not notice if the same number is added to all logits: with "
            "cross-entropy each sample has outputs - 1 directions that matter.",
        ),
        Mistake(
            lambda loss, samples, outputs, parameters: min(parameters, samples * (outputs - 1)),
            "The squared loss notices every output, also a common shift: its matrix in the middle "
            "is 2 I, and that has full rank.",
        ),
        Mistake(
            lambda loss, samples, outputs, parameters: _rank(loss, samples, outputs, 10**9),
            "A matrix cannot have a rank above its size: the parameters bound it too.",
        ),
        Mistake(
            lambda loss, samples, outputs, parameters: _rank(
                loss, samples - 1, outputs, parameters
            ),
            "No sample is lost: the loss is not centered over the samples.",
        ),
        Mistake(
            lambda loss, samples, outputs, parameters: min(parameters, samples),
            "Each sample contributes more than one direction: as many as its outputs can differ.",
        ),
    ),
    hints=(
        "Each sample adds J^T A J. What is the rank of the matrix A in the middle?",
        "It is outputs - 1 for cross-entropy, because it sends the vector of ones to zero, and "
        "outputs for 2 I. Ranks add up at most.",
    ),
    solution="""
def rank_bound(loss, samples, outputs, parameters):
    # diag(p) - p p^T has rank outputs - 1, 2 I has rank outputs; the ranks of a sum add at most
    each = outputs - 1 if loss == "cross-entropy" else outputs
    return min(parameters, samples * each)
""",
)

FURTHER = (RANK_BOUNDS,)
