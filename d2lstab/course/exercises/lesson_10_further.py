"""Further exercises of lesson 10: how large a rate gets out, and what class shares are worth."""

import math

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

ESCAPE_RATE = Exercise(
    id="10-escape-rate",
    title="The smallest learning rate that closes a gap d within n steps, for both losses",
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
        "Equation (5) says how many steps a rate needs. Set that number equal to n.",
        "Solve d / (2 rate) = n and exp(d) / (8 rate) = n for the rate.",
    ),
    solution="""
def rates_to_escape(d, n):
    return [d / (2 * n), math.exp(d) / (8 * n)]
""",
)


def _entropy(counts: list[int]) -> float:
    shares = [c / sum(counts) for c in counts if c > 0]
    return -math.fsum(p * math.log(p) for p in shares)


CLASS_SHARES = Exercise(
    id="10-class-shares",
    title="The smallest loss of a model that gives every sample the same probabilities",
    inputs=(([5, 3, 2],), ([10, 10],), ([7, 0, 1, 4],), ([90, 5, 5],)),
    reference=_entropy,
    mistakes=(
        Mistake(
            lambda counts: math.log(len(counts)),
            "This is the loss of equal probabilities. A class that comes more often deserves more.",
        ),
        Mistake(
            lambda counts: _entropy(counts) / math.log(2),
            "These are bits: the loss uses the natural logarithm.",
        ),
        Mistake(
            lambda counts: sum(counts) * _entropy(counts),
            "This is the sum over the samples: divide by their number.",
        ),
        Mistake(
            lambda counts: -sum(math.log(c / sum(counts)) for c in counts) / len(counts),
            "This is a mean over the classes; the loss is a mean over the samples, in which a "
            "class counts as often as it occurs, and one that never occurs not at all.",
        ),
        Mistake(
            lambda counts: -math.log(max(counts) / sum(counts)),
            "This is the loss on the commonest class alone: all the others have to be paid for "
            "too.",
        ),
    ),
    hints=(
        "With probabilities q the mean loss is minus the sum of share * ln(q). Which q is best?",
        "The best q are the shares themselves (set the derivative of the loss by the logits, "
        "q - share, to 0). A class without samples adds nothing.",
    ),
    solution="""
def loss_of_class_shares(counts):
    # the gradient by the logits is q - share: it vanishes where q is the share
    shares = [c / sum(counts) for c in counts if c > 0]
    return -math.fsum(p * math.log(p) for p in shares)
""",
)

FURTHER = (ESCAPE_RATE, CLASS_SHARES)
