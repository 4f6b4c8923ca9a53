"""What a notebook needs: start, compare, guess, exercises, claims."""

from d2lstab.course.checking import check, hint
from d2lstab.course.comparison import Comparison, compare, compare_order
from d2lstab.course.environment import check_environment
from d2lstab.course.guesses import answer, guess
from d2lstab.course.ledger import claims
from d2lstab.course.progress_file import progress
from d2lstab.course.session import seeded, start

__all__ = [
    "Comparison",
    "answer",
    "check",
    "check_environment",
    "claims",
    "compare",
    "compare_order",
    "guess",
    "hint",
    "progress",
    "seeded",
    "start",
]
