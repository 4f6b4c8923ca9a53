"""Exercises of lesson 10: losses for classification."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_10_further import FURTHER

__all__ = ["EXERCISES"]

_INF = math.inf


def _vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _one_hot(right: int, count: int) -> Tensor:
    return torch.eye(count, dtype=torch.float64)[right]


SOFTMAX = Exercise(
    id="10-softmax",
    title="Softmax of logits of any size",
    inputs=(
        (_vector(3.0, 1.0, -3.0),),
        (_vector(1000.0, 0.0),),
        (_vector(-1000.0, -1001.0),),
        (_vector(0.0, -_INF),),
        (_vector(2.0),),
    ),
    reference=lambda y: y.softmax(0),
    mistakes=(
        Mistake(
            lambda y: y.exp() / y.exp().sum(),
            "exp overflows for large logits and underflows for very negative ones, and inf/inf "
            "or 0/0 is NaN. A constant may be subtracted from all logits first: which?",
        ),
        Mistake(
            lambda y: (y - y.max()).exp(),
            "The largest logit is subtracted, good, but the numbers do not sum to one yet.",
        ),
        Mistake(
            lambda y: torch.full_like(y, 1 / len(y)),
            "Every class gets the same: the sum in the denominator runs over j, so its exponent "
            "is y_j, not y_i.",
        ),
        Mistake(
            lambda y: (y - y.mean()).exp() / (y - y.mean()).exp().sum(),
            "Subtracting the mean is not enough: half of a large difference still overflows, "
            "and one logit of -inf makes the mean -inf. Subtract the largest.",
        ),
    ),
    hints=(
        "Adding a constant to all logits does not change the softmax.",
        "Subtract the largest logit: then every exponent is at most 0 and one of them is 0.",
    ),
    solution="""
def stable_softmax(y):
    e = (y - y.max()).exp()
    return e / e.sum()
""",
)


def _lead(d: float, k: int, factor: float = 1.0, others: int = 1) -> float:
    small = math.exp(-d)  # the others' odds against the leading class
    return factor * (1 - small) / (1 + (k - others) * small)


LEADING_GAP = Exercise(
    id="10-leading-gap",
    title="How far the leading probability lies above the others, its logit being d above theirs",
    inputs=((2.0, 10), (0.1, 4), (0.0, 3), (1000.0, 5), (3.0, 2)),
    reference=_lead,
    mistakes=(
        Mistake(
            lambda d, k: math.tanh(d / 2),
            "This is right for two classes. With k of them the k - 1 others share the "
            "denominator with the leading one.",
        ),
        Mistake(
            lambda d, k: 1 / (1 + (k - 1) * math.exp(-d)),
            "This is the leading probability alone: another class's has to be subtracted.",
        ),
        Mistake(
            lambda d, k: (math.exp(d) - 1) / (math.exp(d) + k - 1),
            "Right for moderate gaps, but exp(1000) overflows: divide numerator and denominator "
            "by exp(d).",
        ),
        Mistake(
            lambda d, k: _lead(d, k, others=0),
            "One class too many in the denominator: the leading class and k - 1 others.",
        ),
        Mistake(
            lambda d, k: d / k,
            "This is the slope at small gaps. Two probabilities can never differ by more than 1.",
        ),
    ),
    hints=(
        "Softmax does not change when a constant is added: make the leading logit 0.",
        "The others then have exp(-d): p = 1 / (1 + (k - 1) exp(-d)), and theirs is exp(-d) p.",
    ),
    solution="""
def leading_gap(d, k):
    small = math.exp(-d)  # the leading logit is made 0: no exponent is positive
    return (1 - small) / (1 + (k - 1) * small)
""",
)


def _squared_error_gradient(y: Tensor, right: int, factor: float = 2.0) -> Tensor:
    p = y.softmax(0)
    error = p - _one_hot(right, len(y))
    return factor * p * (error - error @ p)


SQUARED_ERROR_GRADIENT = Exercise(
    id="10-squared-error-gradient",
    title="The gradient of a softmax's squared error by the logits",
    inputs=((_vector(1.0, 2.0, 0.5), 0), (_vector(0.0, 0.0), 1), (_vector(-3.0, 4.0, 1.0, 0.0), 2)),
    reference=_squared_error_gradient,
    mistakes=(
        Mistake(
            lambda y, right: 2 * (y.softmax(0) - _one_hot(right, len(y))),
            "This is the gradient by the probabilities. Go on, through the softmax, to the logits.",
        ),
        Mistake(
            lambda y, right: y.softmax(0) - _one_hot(right, len(y)),
            "This is the gradient of cross-entropy. A square has another derivative, and nothing "
            "undoes the softmax here.",
        ),
        Mistake(
            lambda y, right: _squared_error_gradient(y, right, 1.0),
            "The 2 of the square's derivative is missing.",
        ),
        Mistake(
            lambda y, right: -_squared_error_gradient(y, right),
            "The sign is turned: this is the direction in which to go, the negative gradient.",
        ),
        Mistake(
            lambda y, right: (
                2 * y.softmax(0) * (1 - y.softmax(0)) * (y.softmax(0) - _one_hot(right, len(y)))
            ),
            "Only the Jacobian's diagonal was used: a logit moves the other probabilities too, by "
            "-p_i p_j.",
        ),
    ),
    hints=(
        "The chain rule: 2 (p - y*), multiplied by softmax's Jacobian diag(p) - p p^T.",
        "With e = p - y* the product is 2 p (e - sum(p e)), element by element.",
    ),
    solution="""
def squared_error_gradient(logits, right):
    p = logits.softmax(0)
    error = p.clone()
    error[right] -= 1
    # the Jacobian diag(p) - p p^T, applied to 2 error
    return 2 * p * (error - error @ p)
""",
)


DOUBLED_RANGE = Exercise(
    id="10-doubled-range",
    title="Between which two values the loss of a doubled softmax lies",
    inputs=((10,), (2,), (1000,)),
    reference=lambda k: [math.log(1 + (k - 1) / math.e), math.log(math.e + k - 1)],
    mistakes=(
        Mistake(
            lambda k: [math.log(1 + (k - 1) / math.e), math.log(k)],
            "The largest loss is not that of knowing nothing: being sure of a wrong class is "
            "worse.",
        ),
        Mistake(
            lambda k: [math.log(1 + (k - 1) / math.e), math.inf],
            "An infinite loss would need an infinite logit, but the inner softmax gives at most 1.",
        ),
        Mistake(
            lambda k: [0.0, math.log(math.e + k - 1)],
            "Zero would need an infinite logit, but the inner softmax gives at most 1.",
        ),
        Mistake(
            lambda k: [math.log(1 + (k - 1) / math.e), math.log(1 + (k - 1) * math.e)],
            "The largest one would need every wrong class at 1 at once, but the inner softmax "
            "sums to 1.",
        ),
        Mistake(
            lambda k: [math.log(math.e + k - 1), math.log(1 + (k - 1) / math.e)],
            "The two are exchanged: the smallest comes first.",
        ),
    ),
    hints=(
        "What the inner softmax returns are the outer one's logits: where is the loss extreme?",
        "Apply cross-entropy to (1, 0, ..., 0), with the 1 in the right place, and in a wrong one.",
    ),
    solution="""
def range_of_softmax_twice(k):
    # the outer logits are (1, 0, ..., 0) at best, and at worst with the 1 at a wrong class
    return [math.log(1 + (k - 1) / math.e), math.log(math.e + k - 1)]
""",
)


EXERCISES = (SOFTMAX, LEADING_GAP, SQUARED_ERROR_GRADIENT, DOUBLED_RANGE, *FURTHER)
