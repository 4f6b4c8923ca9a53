"""The exercise of lesson 00: what a check feels like."""

import math

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

FOLDS = Exercise(
    id="00-folds",
    title="How many doublings lead from one thickness to another",
    inputs=((1.0, 5.0), (1e-7, 384400.0), (1.0, 8.0), (8.0, 1.0)),
    reference=lambda start, goal: max(0, math.ceil(math.log2(goal / start))),
    mistakes=(
        Mistake(
            lambda start, goal: max(0, math.floor(math.log2(goal / start))),
            "Rounded down: after that many folds the sheet is still too thin. Round up.",
        ),
        Mistake(
            lambda start, goal: math.log2(goal / start),
            "The right logarithm, but you cannot fold a sheet a broken number of times: round up.",
        ),
        Mistake(
            lambda start, goal: math.ceil(math.log2(goal / start)),
            "Nearly: where the sheet is thick enough from the start, no fold is needed, and a "
            "negative number makes no sense.",
        ),
        Mistake(
            lambda start, goal: max(0, math.ceil(math.log(goal / start))),
            "The natural logarithm counts factors of e = 2.718. Folding doubles: use base 2.",
        ),
    ),
    hints=(
        "After k folds the sheet is start * 2**k thick.",
        "Solve start * 2**k = goal for k with math.log2, and round up; not below 0.",
    ),
    solution="""
def folds(start, goal):
    return max(0, math.ceil(math.log2(goal / start)))
""",
)

EXERCISES = (FOLDS,)
