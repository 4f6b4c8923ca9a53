"""Exercises of lesson 11: feature and batch normalization."""

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_11_further import FURTHER
from d2lstab.specimens.data import standardize

__all__ = ["EXERCISES"]


def _rows(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# Exercise 1: standardize, with the traps of real data.


def _reference(train: Tensor, test: Tensor) -> list[Tensor]:
    return list(standardize(train, test))


def _own_statistics(train: Tensor, test: Tensor) -> list[Tensor]:
    return [_reference(train, train)[0], _reference(test, test)[0]]


def _pooled(train: Tensor, test: Tensor) -> list[Tensor]:
    both = torch.cat([train, test])
    return [_reference(both, train)[1], _reference(both, test)[1]]


def _guarded(train: Tensor, test: Tensor, unbiased: bool, added: float) -> list[Tensor]:
    std = train.std(dim=0, unbiased=unbiased)
    divisor = std + added if added else torch.where(std == 0, torch.ones_like(std), std)
    return [(x - train.mean(dim=0)) / divisor for x in (train, test)]


def _unguarded(train: Tensor, test: Tensor) -> list[Tensor]:
    std = train.std(dim=0, unbiased=False)
    return [(x - train.mean(dim=0)) / std for x in (train, test)]


_TRAIN = _rows([0.0, 5.0, 100.0], [2.0, 5.0, 300.0], [4.0, 5.0, 200.0], [6.0, 5.0, 0.0])
_TEST = _rows([1.0, 5.0, 50.0], [9.0, 8.0, 150.0])

STANDARDIZE = Exercise(
    id="11-standardize",
    title="Standardize training and test data",
    inputs=((_TRAIN, _TEST), (_TRAIN[:3], _TEST), (_TRAIN[:, [0, 2]], _TEST[:, [0, 2]])),
    reference=_reference,
    mistakes=(
        Mistake(
            _unguarded,
            "A constant feature has standard deviation 0, and 0/0 is NaN: divide by 1 there, so "
            "that the feature becomes 0.",
        ),
        Mistake(
            _own_statistics,
            "The test data were standardized by their own statistics. The network has learned on "
            "the training data's scale, and one test sample alone has no statistics at all.",
        ),
        Mistake(
            _pooled,
            "The statistics come from training and test data together: that lets the test data "
            "leak into the training.",
        ),
        Mistake(
            lambda train, test: _guarded(train, test, True, 0.0),
            "Almost: this divides by N - 1. The biased standard deviation was asked for, so that "
            "the training data get a variance of exactly 1.",
        ),
        Mistake(
            lambda train, test: _guarded(train, test, False, 1e-8),
            "A small number added to the deviation avoids NaN on the training data, but a test "
            "pixel that leaves its constant value is blown up by 1e8.",
        ),
    ),
    hints=(
        "Take mean and std over dim=0 of train alone, with unbiased=False, and use them for both.",
        "torch.where(std == 0, 1.0, std) is a divisor that leaves constant features alone.",
    ),
    solution="""
def standardized_sets(train, test):
    mean, std = train.mean(dim=0), train.std(dim=0, unbiased=False)
    divisor = torch.where(std == 0, torch.ones_like(std), std)  # constant: only centered
    return [(train - mean) / divisor, (test - mean) / divisor]
""",
)

# Exercise 2: back through the coupled samples.


def _backward(
    x: Tensor, gamma: Tensor, upstream: Tensor, *, mean: bool = True, coupled: bool = True
) -> Tensor:
    std = x.std(dim=0, unbiased=False)
    z, u = (x - x.mean(dim=0)) / std, gamma * upstream
    if mean:
        u = u - u.mean(dim=0)
    if coupled:
        u = u - z * (gamma * upstream * z).mean(dim=0)
    return u / std


def _sum_instead(x: Tensor, gamma: Tensor, upstream: Tensor) -> Tensor:
    std = x.std(dim=0, unbiased=False)
    z, u = (x - x.mean(dim=0)) / std, gamma * upstream
    return (u - u.sum(dim=0) - z * (u * z).sum(dim=0)) / std


_X = _rows([1.0, 0.0], [2.0, 4.0], [6.0, 2.0], [3.0, -1.0], [0.0, 2.5])
_UP = _rows([1.0, 0.0], [0.5, -1.0], [0.0, 2.0], [-2.0, 1.0], [0.3, 0.1])
_GAMMA = torch.tensor([2.0, -0.5], dtype=torch.float64)

BACKWARD = Exercise(
    id="11-backward",
    title="The gradient by the inputs of batch normalization",
    inputs=((_X, _GAMMA, _UP), (_X[:3], _GAMMA + 1, _UP[2:]), (_UP, _GAMMA, _X)),
    reference=_backward,
    mistakes=(
        Mistake(
            lambda x, gamma, upstream: _backward(x, gamma, upstream, mean=False, coupled=False),
            "Mean and deviation were treated as constants. They depend on all samples: two terms "
            "are missing, the ones that make the sums vanish.",
        ),
        Mistake(
            lambda x, gamma, upstream: _backward(x, gamma, upstream, coupled=False),
            "The path through the mean is there, the one through the deviation is missing: the "
            "gradient must be orthogonal to z as well.",
        ),
        Mistake(
            lambda x, gamma, upstream: _backward(x, gamma, upstream, mean=False),
            "The path through the deviation is there, the one through the mean is missing: the "
            "gradients of a feature must add up to 0.",
        ),
        Mistake(
            lambda x, gamma, upstream: _backward(x, torch.ones_like(gamma), upstream),
            "Right for gamma = 1. In front of the normalization arrives gamma times the upstream "
            "gradient.",
        ),
        Mistake(
            _sum_instead,
            "Sums stand where means should: each of the B samples moves the mean by 1/B only.",
        ),
    ),
    hints=(
        "Multiply the Jacobian's three terms by u = gamma * upstream, one after the other.",
        "The second term gives -u.mean(dim=0), the third -z * (u * z).mean(dim=0).",
    ),
    solution="""
def batch_norm_backward(x, gamma, upstream):
    std = x.std(dim=0, unbiased=False)
    z, u = (x - x.mean(dim=0)) / std, gamma * upstream
    return (u - u.mean(dim=0) - z * (u * z).mean(dim=0)) / std
""",
)

# Further, exercise 5: the running statistics, in torch's convention.


def _running(
    batches: list[Tensor], momentum: float, keep: bool = True, unbiased: bool = True
) -> list[float]:
    share = momentum if keep else 1 - momentum
    mean, variance = 0.0, 1.0
    for batch in batches:
        mean = (1 - share) * mean + share * float(batch.mean())
        variance = (1 - share) * variance + share * float(batch.var(unbiased=unbiased))
    return [mean, variance]


def _started(batches: list[Tensor], momentum: float) -> list[float]:
    mean, variance = float(batches[0].mean()), float(batches[0].var())
    for batch in batches[1:]:
        mean = (1 - momentum) * mean + momentum * float(batch.mean())
        variance = (1 - momentum) * variance + momentum * float(batch.var())
    return [mean, variance]


def _vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


_BATCHES = [_vector(1.0, 3.0), _vector(0.0, 2.0, 7.0), _vector(4.0, 4.5, 5.0, -2.0)]

RUNNING = Exercise(
    id="11-running",
    title="Running mean and variance as torch keeps them",
    inputs=((_BATCHES, 0.1), (_BATCHES[:1], 0.1), (_BATCHES, 0.01), (_BATCHES, 0.7)),
    reference=_running,
    mistakes=(
        Mistake(
            lambda batches, momentum: _running(batches, momentum, keep=False),
            "This is the lecture's p: there the number belongs to the past. Torch's momentum is "
            "the share of the new batch.",
        ),
        Mistake(
            lambda batches, momentum: _running(batches, momentum, unbiased=False),
            "The running variance follows the unbiased variance of each batch, divided by B - 1, "
            "although training normalizes by the biased one.",
        ),
        Mistake(
            _started,
            "The averages do not start at the first batch: they start at mean 0 and variance 1.",
        ),
        Mistake(
            lambda batches, momentum: [
                sum(float(b.mean()) for b in batches) / len(batches),
                sum(float(b.var()) for b in batches) / len(batches),
            ],
            "This is the plain average over all batches, torch's momentum=None.",
        ),
    ),
    hints=(
        "Start from mean 0 and variance 1 and go through the batches in a loop.",
        "new = (1 - momentum) * old + momentum * batch.var(), unbiased as torch's var is.",
    ),
    solution="""
def running_statistics(batches, momentum):
    mean, variance = 0.0, 1.0
    for batch in batches:
        mean = (1 - momentum) * mean + momentum * float(batch.mean())
        variance = (1 - momentum) * variance + momentum * float(batch.var())  # unbiased
    return [mean, variance]
""",
)


EXERCISES = (STANDARDIZE, BACKWARD, RUNNING, *FURTHER)
