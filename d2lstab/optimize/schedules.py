"""Learning rates that change: functions of the number of updates made, from 0.

Each function here returns a schedule `step -> rate`. It can stand wherever a rule takes
`lr`, and plugs into `torch.optim.lr_scheduler.LambdaLR` on an optimizer with lr = 1.
"""

import math
from collections.abc import Callable

from d2lstab.arguments import (
    natural_number,
    non_negative_number,
    number_between,
    positive_integer,
    positive_number,
)

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "inverse_sqrt",
    "linear_warmup",
    "step_decay",
    "transformer",
]

Schedule = Callable[[int], float]


def _from_zero(formula: Schedule) -> Schedule:
    def schedule(step: int) -> float:
        return formula(natural_number(step, "step", "updates are counted from 0"))

    return schedule


def _peak(lr: float) -> float:
    return non_negative_number(lr, "lr", "pass the rate from which the schedule starts")


def constant(lr: float) -> Schedule:
    """The same rate at every step.

    Raises:
        ValueError, TypeError: `lr` is negative or no number.

    >>> constant(0.1)(1000)
    0.1
    """
    rate = _peak(lr)
    return _from_zero(lambda step: rate)


def inverse_sqrt(lr: float) -> Schedule:
    """Decay by the root of the updates: lr / sqrt(step + 1).

    It turns `mean_rms` into Adagrad.

    Raises:
        ValueError, TypeError: `lr` is negative or no number.

    >>> inverse_sqrt(0.1)(3)
    0.05
    """
    rate = _peak(lr)
    return _from_zero(lambda step: rate / math.sqrt(step + 1))


def step_decay(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """A factor every few steps: lr gamma^floor(step / step_size).

    Equals `torch.optim.lr_scheduler.StepLR`.

    Raises:
        ValueError, TypeError: `lr` or `gamma` negative, `step_size` no positive integer.

    >>> [step_decay(1.0, 10, 0.5)(step) for step in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    rate, factor = _peak(lr), non_negative_number(gamma, "gamma")
    every = positive_integer(step_size, "step_size", "pass the updates between two decays")
    return _from_zero(lambda step: rate * factor ** (step // every))


def exponential(lr: float, gamma: float) -> Schedule:
    """A factor every step: lr gamma^step.

    Equals `torch.optim.lr_scheduler.ExponentialLR`.

    Raises:
        ValueError, TypeError: `lr` or `gamma` is negative or no number.

    >>> exponential(1.0, 0.5)(3)
    0.125
    """
    rate, factor = _peak(lr), non_negative_number(gamma, "gamma")
    return _from_zero(lambda step: rate * factor**step)


def cosine(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """Half a cosine from lr down to eta_min in T_max steps.

        eta_min + (lr - eta_min) (1 + cos(pi step / T_max)) / 2

    Equals `torch.optim.lr_scheduler.CosineAnnealingLR`: after T_max it rises again.

    Raises:
        ValueError, TypeError: `lr` or `eta_min` negative, `T_max` no positive integer.

    Source: Loshchilov and Hutter (2017), equation 5.

    >>> [round(cosine(1.0, 10)(step), 9) for step in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """
    rate, low = _peak(lr), non_negative_number(eta_min, "eta_min")
    half = positive_integer(T_max, "T_max", "pass the number of updates of the descent")
    return _from_zero(lambda step: low + (rate - low) * (1 + math.cos(math.pi * step / half)) / 2)


def linear_warmup(
    lr: float, steps: int, then: Schedule | None = None, *, start_factor: float = 0.0
) -> Schedule:
    """A straight line up to lr, and what follows.

        step < steps:  lr (start_factor + (1 - start_factor) step / steps)
        afterwards:    then(step - steps), or lr

    `then` counts its own steps from 0. Equals `torch.optim.lr_scheduler.LinearLR`, and with
    `then` its `SequentialLR` with another; unlike there the line may start at 0.

    Raises:
        ValueError, TypeError: `lr` negative, `steps` no positive integer, `start_factor`
            outside [0, 1], `then` no function.

    Source: Goyal et al. (2017), section 2.2.

    >>> warm = linear_warmup(0.1, 10, then=exponential(0.1, 0.5))
    >>> [warm(step) for step in (0, 5, 10, 11)]
    [0.0, 0.05, 0.1, 0.05]
    """
    rate = _peak(lr)
    length = positive_integer(steps, "steps", "pass the number of updates of the warm-up")
    first = number_between(start_factor, "start_factor", 0, 1)
    if then is not None and not callable(then):
        raise TypeError(
            f"then must be a schedule, got {then!r}: pass cosine(0.1, 1000), for example"
        )

    def formula(step: int) -> float:
        if step < length:
            return rate * (first + (1 - first) * step / length)
        return rate if then is None else then(step - length)

    return _from_zero(formula)


def transformer(d_model: int, warmup: int = 4000) -> Schedule:
    """The Transformer's schedule: up in a line, down with the root.

        d_model^(-1/2) min(step^(-1/2), step warmup^(-3/2)),    0 at step 0

    The peak, at step = warmup, is 1 / sqrt(d_model warmup).

    Raises:
        ValueError, TypeError: `d_model` or `warmup` is not a positive number.

    Source: Vaswani et al. (2017), equation 3.

    >>> transformer(256, 16)(16)  # 1 / (16 * 4)
    0.015625
    """
    width = positive_integer(d_model, "d_model", "pass the width of the model")
    top = positive_number(warmup, "warmup", "pass the number of updates of the warm-up")

    def formula(step: int) -> float:
        return 0.0 if step == 0 else min(step**-0.5, step * top**-1.5) * width**-0.5

    return _from_zero(formula)
