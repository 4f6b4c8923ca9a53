"""Exercises of lesson 10: losses for classification."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

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

PROBABILITY_GAP = Exercise(
    id="10-probability-gap",
    title="How far two probabilities lie apart when their logits differ by d",
    inputs=((0.1,), (1.0,), (-2.0,), (0.0,), (1000.0,)),
    reference=lambda d: math.tanh(d / 2),
    mistakes=(
        Mistake(
            lambda d: 1 / (1 + math.exp(-d)) if d > -700 else 0.0,
            "This is the first probability; the second, 1 minus it, has to be subtracted.",
        ),
        Mistake(
            lambda d: d / 2,
            "This is the bound for small gaps. Two probabilities can never differ by more than 1.",
        ),
        Mistake(
            lambda d: math.tanh(d),
            "Nearly: the argument is half the gap. Check it at a small gap, where the result "
            "must be d/2.",
        ),
        Mistake(
            lambda d: (math.exp(d) - 1) / (math.exp(d) + 1),
            "Right for moderate gaps, but exp(1000) overflows: write it as a hyperbolic tangent.",
        ),
    ),
    hints=(
        "p1 = 1 / (1 + exp(-d)) and p2 = 1 - p1.",
        "(1 - exp(-d)) / (1 + exp(-d)) is a hyperbolic tangent of half the gap.",
    ),
    solution="""
def probability_gap(d):
    return math.tanh(d / 2)
""",
)

ESCAPE_RATE = Exercise(
    id="10-escape-rate",
    title="The learning rate that closes a gap d in n steps, for both losses",
    inputs=((10.0, 100), (5.0, 10), (20.0, 1000)),
    reference=lambda d, n: [d / (2 * n), math.exp(d) / (8 * n)],
    mistakes=(
        Mistake(
            lambda d, n: [math.exp(d) / (8 * n), d / (2 * n)],
            "The two numbers are exchanged: cross-entropy needs the small rate and comes first.",
        ),
        Mistake(
            lambda d, n: [d / n, math.exp(d) / (4 * n)],
            "Twice too large: both logits move, in opposite directions, so the gap closes twice "
            "as fast as one logit moves.",
        ),
        Mistake(
            lambda d, n: [2 * n / d, 8 * n / math.exp(d)],
            "Turned over: more steps allow a smaller rate, not a larger one.",
        ),
    ),
    hints=(
        "Equation (4) says how many steps a rate needs. Set that number equal to n.",
        "Solve d / (2 rate) = n and exp(d) / (8 rate) = n for the rate.",
    ),
    solution="""
def rates_to_escape(d, n):
    return [d / (2 * n), math.exp(d) / (8 * n)]
""",
)

FLOOR = Exercise(
    id="10-floor",
    title="The smallest loss of a classifier that applies softmax twice",
    inputs=((10,), (2,), (1000,)),
    reference=lambda k: math.log(1 + (k - 1) / math.e),
    mistakes=(
        Mistake(
            lambda k: math.log(k),
            "This is the loss of knowing nothing, the start. How sure can the outer softmax be, "
            "when its inputs lie between 0 and 1?",
        ),
        Mistake(
            lambda k: 0.0,
            "Zero would need an infinite logit, but the inner softmax gives at most 1.",
        ),
        Mistake(
            lambda k: math.log(1 + k / math.e),
            "One class too many: the right class is not among the others, of which there are "
            "k - 1.",
        ),
        Mistake(
            lambda k: math.log(1 + (k - 1) * math.e),
            "The sign of the exponent is turned: this is the largest loss, all weight on a wrong "
            "class, when the others are counted too.",
        ),
    ),
    hints=(
        "The best that the inner softmax can do is a one in the right place and zeros elsewhere.",
        "Apply cross-entropy to the logits (1, 0, ..., 0).",
    ),
    solution="""
def floor_of_softmax_twice(k):
    # the inner softmax returns at best (1, 0, ..., 0), which are the outer one's logits
    return math.log(1 + (k - 1) / math.e)
""",
)

GRADIENT = Exercise(
    id="10-gradient",
    title="The gradient of the cross-entropy by the logits",
    inputs=((_vector(1.0, 2.0, 0.5), 0), (_vector(0.0, 0.0), 1), (_vector(-3.0, 4.0, 1.0, 0.0), 2)),
    reference=lambda y, right: y.softmax(0) - _one_hot(right, len(y)),
    mistakes=(
        Mistake(
            lambda y, right: _one_hot(right, len(y)) - y.softmax(0),
            "The sign is turned: this is the direction in which to go, the negative gradient.",
        ),
        Mistake(
            lambda y, right: y.softmax(0),
            "Only half of it: the right class gets its probability minus one.",
        ),
        Mistake(
            lambda y, right: -_one_hot(right, len(y)) / y.softmax(0),
            "This is the gradient by the probabilities. Go on, through the softmax, to the logits.",
        ),
        Mistake(
            lambda y, right: y - _one_hot(right, len(y)),
            "The logits themselves are not probabilities: apply softmax first.",
        ),
    ),
    hints=(
        "Write the loss as log(sum(exp(y))) - y[right] and differentiate.",
        "The derivative of log(sum(exp(y))) by y_i is the probability p_i.",
    ),
    solution="""
def cross_entropy_gradient(logits, right):
    gradient = logits.softmax(0)
    gradient[right] -= 1
    return gradient
""",
)

LIKELIHOOD = Exercise(
    id="10-likelihood",
    title="The mean cross-entropy from the probabilities of the right classes",
    inputs=(([0.5, 0.25],), ([1.0],), ([0.9, 0.1, 0.3],)),
    reference=lambda p: -math.fsum(math.log(x) for x in p) / len(p),
    mistakes=(
        Mistake(
            lambda p: -math.fsum(math.log(x) for x in p),
            "This is the sum over the samples: divide by their number.",
        ),
        Mistake(
            lambda p: -math.log(math.fsum(p) / len(p)),
            "The logarithm of the mean is not the mean of the logarithms.",
        ),
        Mistake(
            lambda p: -math.fsum(math.log2(x) for x in p) / len(p),
            "These are bits: the loss uses the natural logarithm.",
        ),
        Mistake(
            lambda p: math.fsum(math.log(x) for x in p) / len(p),
            "This is the mean log-likelihood; the loss is minus that, and never negative.",
        ),
    ),
    hints=("For one sample the cross-entropy is -ln of one probability.", "Take the mean of them."),
    solution="""
def mean_cross_entropy(p):
    return -sum(math.log(x) for x in p) / len(p)
""",
)

EXERCISES = (SOFTMAX, PROBABILITY_GAP, ESCAPE_RATE, FLOOR, GRADIENT, LIKELIHOOD)
