"""Exercises of lesson 06: batches, their noise, and what a fair comparison is."""

import math

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_06_further import FURTHER, LARGEST_RATE
from d2lstab.theory.batches import updates_per_epoch

__all__ = ["EXERCISES"]

# Exercise 1: where in the epochs an update lies.


def _place(update: int, population: int, batch_size: int) -> tuple[int, int]:
    epoch, k = divmod(update, updates_per_epoch(population, batch_size))
    return epoch, min(batch_size, population - k * batch_size)


def _dropped(update: int, population: int, batch_size: int) -> tuple[int, int]:
    return update // max(1, population // batch_size), batch_size


PLACE = Exercise(
    id="06-place",
    title="The epoch of an update, and the size of its batch",
    inputs=(
        (0, 20, 1),
        (19, 20, 1),
        (20, 20, 1),
        (3, 20, 20),
        (2, 10, 4),
        (3, 10, 4),
        (60, 60000, 1000),
        (21, 1347, 64),
        (43, 1347, 64),
    ),
    reference=_place,
    mistakes=(
        Mistake(
            lambda update, population, batch_size: (
                _place(update, population, batch_size)[0],
                batch_size,
            ),
            "The epoch is right. But where B does not divide N, the last batch of each epoch "
            "is smaller: it takes what is left.",
        ),
        Mistake(
            lambda update, population, batch_size: (update * batch_size // population, batch_size),
            "This lets a batch reach over the end of an epoch into the next one. A new epoch "
            "begins with a new shuffle: its first batch is full again.",
        ),
        Mistake(
            _dropped,
            "This leaves out the incomplete batch (drop_last). Here every sample is to be seen "
            "in each epoch.",
        ),
        Mistake(
            lambda update, population, batch_size: (
                _place(update, population, batch_size)[0] + 1,
                _place(update, population, batch_size)[1],
            ),
            "Epochs are counted from 0 here, like updates: update 0 lies in epoch 0.",
        ),
    ),
    hints=(
        "First find how many updates an epoch has, the incomplete batch included; then use "
        "divmod(update, that number).",
        "The remainder k is the batch's place in its epoch: k * batch_size samples came before "
        "it, so it has min(batch_size, population - k * batch_size).",
    ),
    solution="""
def place_of(update, population, batch_size):
    per_epoch = math.ceil(population / batch_size)
    epoch, k = divmod(update, per_epoch)
    # k batches came before in this epoch; the last one takes what is left
    return epoch, min(batch_size, population - k * batch_size)
""",
)

# Exercise 2: the batch whose noise is as small as wanted.


def _batch_for_noise(trace: float, allowed: float, population: int) -> int:
    n = population
    return math.ceil(trace * n / (allowed * (n - 1) + trace))


BATCH_FOR_NOISE = Exercise(
    id="06-batch-for-noise",
    title="The smallest batch whose noise is at most as large as allowed",
    inputs=(
        (18.0, 0.37, 1347),
        (18.0, 5.0, 1347),
        (20.0, 0.01, 1347),
        (3.0, 2.9, 50),
        (2.3, 2.4, 21),
        (100.0, 7.0, 60000),
    ),
    reference=_batch_for_noise,
    mistakes=(
        Mistake(
            lambda trace, allowed, population: math.ceil(trace / allowed),
            "This is the batch for drawing with replacement, tr(Sigma) / B. Without replacement "
            "the factor (N - B) / (N - 1) helps: fewer samples are enough.",
        ),
        Mistake(
            lambda trace, allowed, population: _batch_for_noise(trace, allowed, population) - 1,
            "One too small: this batch is a little too noisy. Round up.",
        ),
        Mistake(
            lambda trace, allowed, population: (
                trace * population / (allowed * (population - 1) + trace)
            ),
            "The right equation, but a batch is a whole number of samples: round up.",
        ),
        Mistake(
            lambda trace, allowed, population: _batch_for_noise(trace, allowed**2, population),
            "`allowed` is already a squared distance: do not square it again.",
        ),
        Mistake(
            lambda trace, allowed, population: math.ceil(trace / (allowed * population)),
            "This divides by N as well: the noise of a batch does not shrink because the data "
            "set is large, but because the batch is.",
        ),
    ),
    hints=(
        "Set the law (3) equal to what is allowed, and solve for B.",
        "tr(Sigma) (N - B) = allowed B (N - 1), so B = tr(Sigma) N / (allowed (N - 1) + "
        "tr(Sigma)), rounded up.",
    ),
    solution="""
def batch_for_noise(trace, allowed, population):
    # trace / B * (N - B) / (N - 1) = allowed, solved for B and rounded up
    return math.ceil(trace * population / (allowed * (population - 1) + trace))
""",
)

# Exercise 3: equally many updates.


def _fair(population: int, small: int, epochs: int, large: int) -> int:
    updates = epochs * updates_per_epoch(population, small)
    return math.ceil(updates / updates_per_epoch(population, large))


FAIR_EPOCHS = Exercise(
    id="06-fair-epochs",
    title="How many epochs another batch size needs for at least as many updates",
    inputs=(
        (60000, 1000, 10, 1),
        (1347, 8, 10, 1347),
        (1347, 8, 10, 64),
        (1347, 64, 3, 1000),
        (100, 30, 2, 40),
        (1347, 256, 10, 8),
    ),
    reference=_fair,
    mistakes=(
        Mistake(
            lambda population, small, epochs, large: math.ceil(epochs * large / small),
            "Nearly: the ratio of the batch sizes forgets that the incomplete batch at the end "
            "of an epoch is an update too. Count the updates of an epoch for both.",
        ),
        Mistake(
            lambda population, small, epochs, large: (
                epochs
                * updates_per_epoch(population, small)
                // updates_per_epoch(population, large)
            ),
            "Rounded down, the other run gets fewer updates: round up for at least as many.",
        ),
        Mistake(
            lambda population, small, epochs, large: math.ceil(
                epochs * updates_per_epoch(population, large) / updates_per_epoch(population, small)
            ),
            "Upside down: the larger the batch, the fewer updates an epoch has, and the more "
            "epochs are needed.",
        ),
        Mistake(
            lambda population, small, epochs, large: epochs * updates_per_epoch(population, small),
            "This is the number of updates. How many epochs of the other batch size is that?",
        ),
        Mistake(
            lambda population, small, epochs, large: epochs,
            "Equal epochs are the unfair comparison: the larger batch makes fewer updates.",
        ),
    ),
    hints=(
        "How many updates did the first run make? How many does one epoch of the second make?",
        "Divide the one by the other and round up; both with ceil(N / B) updates an epoch.",
    ),
    solution="""
def fair_epochs(population, batch_size, epochs, other_batch_size):
    updates = epochs * math.ceil(population / batch_size)
    # each epoch of the other run makes ceil(N / B) updates
    return math.ceil(updates / math.ceil(population / other_batch_size))
""",
)


EXERCISES = (PLACE, BATCH_FOR_NOISE, FAIR_EPOCHS, LARGEST_RATE, *FURTHER)
