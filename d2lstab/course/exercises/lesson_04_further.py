"""Exercises of the further part of lesson 04."""

import math
from itertools import accumulate

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]


def _branches_until(blocks: int, odds: float, share: float) -> int:
    """The smallest k at which paths through at most k branches carry `share` of the whole."""
    weights = [math.comb(blocks, k) * odds**k for k in range(blocks + 1)]
    total = math.fsum(weights)
    return sum(1 for reached in accumulate(weights) if reached < share * total)


EFFECTIVE_DEPTH = Exercise(
    id="04-effective-depth",
    title="How many branches the important paths pass",
    inputs=((2, 1.0, 0.5), (54, 1.0, 0.9), (54, 54**-0.5, 0.9), (100, 0.1, 0.5), (20, 0.5, 0.99)),
    reference=lambda blocks, scale, share: _branches_until(blocks, scale**2, share),
    mistakes=(
        Mistake(
            lambda blocks, scale, share: _branches_until(blocks, 1.0, share),
            "All paths count alike here. A path through k branches has been scaled k times: its "
            "mean square is a^(2k).",
        ),
        Mistake(
            lambda blocks, scale, share: _branches_until(blocks, scale, share),
            "Amplitudes do not add, mean squares do: a path through k branches has a^(2k).",
        ),
        Mistake(
            lambda blocks, scale, share: _branches_until(blocks, scale**2, share) - 1,
            "One too few: the paths counted so far carry less than the share.",
        ),
        Mistake(
            lambda blocks, scale, share: _branches_until(blocks, scale**2, share) + 1,
            "One too many: there is a path through 0 branches too, so k starts at 0.",
        ),
        Mistake(
            lambda blocks, scale, share: share * blocks * scale**2 / (1 + scale**2),
            "This is the share times the mean number of branches. Add up the shares of k = 0, 1, "
            "2, ... until the sum is reached.",
        ),
    ),
    hints=(
        "How many paths go through exactly k branches, and which mean square has each?",
        "Add C(L, k) a^(2k) / (1 + a^2)^L from k = 0 on, until the sum is at least the share.",
    ),
    solution="""
def effective_depth(blocks, scale, share):
    reached, k = 1 / (1 + scale**2) ** blocks, 0
    while reached < share:
        k += 1
        reached += math.comb(blocks, k) * scale ** (2 * k) / (1 + scale**2) ** blocks
    return k
""",
)


def _sigmoid(bias: float) -> float:
    return 1 / (1 + math.exp(-bias))


HALF_LIFE = Exercise(
    id="04-half-life",
    title="After how many steps half of a memory is gone",
    inputs=((0.0,), (1.0,), (3.0,), (5.0,), (-1.0,)),
    reference=lambda bias: math.log(0.5) / math.log(_sigmoid(bias)),
    mistakes=(
        Mistake(
            lambda bias: math.log(0.5) / math.log1p(-_sigmoid(bias)),
            "This uses what the gate takes away. What stays in each step is sigmoid(b).",
        ),
        Mistake(
            lambda bias: 0.5 / (1 - _sigmoid(bias)),
            "This takes the same amount away in each step. The gate takes the same share away: "
            "the memory falls geometrically.",
        ),
        Mistake(
            lambda bias: -1 / math.log(_sigmoid(bias)),
            "This is the time after which 1/e is left, not a half.",
        ),
        Mistake(
            lambda bias: math.log2(_sigmoid(bias)) * -1,
            "This is how many halvings happen in one step. Turn it around.",
        ),
    ),
    hints=(
        "After T steps sigmoid(b) ** T is left.",
        "Set it to one half and take logarithms.",
    ),
    solution="""
def half_life(bias):
    gate = 1 / (1 + math.exp(-bias))
    return math.log(0.5) / math.log(gate)  # gate ** T = 1/2
""",
)

FURTHER = (EFFECTIVE_DEPTH, HALF_LIFE)
