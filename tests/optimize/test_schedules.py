"""Schedules: equal to torch's where it has them, and usable as LambdaLR."""

import math

import pytest
import torch
from torch.optim import lr_scheduler as torchs

from d2lstab.optimize import schedules
from d2lstab.optimize.rules import sgd


def rates_of(make, lr, steps=60):
    """The rates of a torch scheduler over the first updates."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (schedules.constant(0.3), lambda o: torchs.ConstantLR(o, factor=1.0)),
        (schedules.step_decay(0.3, 7), lambda o: torchs.StepLR(o, 7)),
        (schedules.step_decay(0.3, 1, 0.9), lambda o: torchs.StepLR(o, 1, 0.9)),
        (schedules.exponential(0.3, 0.93), lambda o: torchs.ExponentialLR(o, 0.93)),
        (schedules.cosine(0.3, 50), lambda o: torchs.CosineAnnealingLR(o, 50)),
        (schedules.cosine(0.3, 20, 0.01), lambda o: torchs.CosineAnnealingLR(o, 20, 0.01)),
        (
            schedules.linear_warmup(0.3, 9, start_factor=0.2),
            lambda o: torchs.LinearLR(o, 0.2, 1.0, 9),
        ),
        (
            schedules.linear_warmup(
                0.3, 9, then=schedules.exponential(0.3, 0.9), start_factor=0.25
            ),
            lambda o: torchs.SequentialLR(
                o, [torchs.LinearLR(o, 0.25, 1.0, 9), torchs.ExponentialLR(o, 0.9)], [9]
            ),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's SequentialLR warns of itself
def test_equals_torch(ours, theirs):
    expected = rates_of(theirs, 0.3)
    # 60 multiplications by rounded factors, in torch's recursive form
    assert [ours(step) for step in range(60)] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.constant(0.3),
        schedules.inverse_sqrt(0.3),
        schedules.step_decay(0.3, 7),
        schedules.exponential(0.3, 0.93),
        schedules.cosine(0.3, 50),
        schedules.linear_warmup(0.3, 9, then=schedules.inverse_sqrt(0.3)),
        schedules.transformer(512, 10),
    ],
)
def test_plugs_into_lambda_lr_and_into_a_rule(schedule):
    expected = [schedule(step) for step in range(60)]
    assert rates_of(lambda o: torchs.LambdaLR(o, schedule), 1.0) == pytest.approx(expected)
    x = torch.zeros(1, dtype=torch.float64)
    rule = sgd(schedule)
    state, moved = rule.init(x), []
    for _ in range(60):
        update, state = rule.update(torch.ones_like(x), state, x)
        moved.append(-update.item())
    assert moved == expected


def test_the_transformers_schedule():
    lr = schedules.transformer(512, 4000)
    assert lr(0) == 0
    assert lr(1) == pytest.approx(512**-0.5 * 4000**-1.5, rel=1e-14)
    assert lr(4000) == pytest.approx(1 / math.sqrt(512 * 4000), rel=1e-14)
    assert lr(16000) == pytest.approx(lr(4000) / 2, rel=1e-14)
    assert max(range(1, 20000, 7), key=lr) == pytest.approx(4000, abs=7)


def test_inverse_sqrt_and_warmup_by_hand():
    assert [schedules.inverse_sqrt(6.0)(s) for s in (0, 3, 8)] == pytest.approx([6, 3, 2])
    warm = schedules.linear_warmup(1.0, 4)
    assert [warm(s) for s in (0, 1, 3, 4, 100)] == [0, 0.25, 0.75, 1, 1]
    assert schedules.linear_warmup(1.0, 4, then=schedules.constant(0.5))(4) == 0.5


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: schedules.constant(-0.1), ValueError),
        (lambda: schedules.constant("0.1"), TypeError),
        (lambda: schedules.constant(10**400), ValueError),
        (lambda: schedules.constant(-(10**5000)), ValueError),
        (lambda: schedules.inverse_sqrt(math.nan), ValueError),
        (lambda: schedules.step_decay(0.1, 0), ValueError),
        (lambda: schedules.step_decay(0.1, 2.5), TypeError),
        (lambda: schedules.step_decay(0.1, 3, -1.0), ValueError),
        (lambda: schedules.exponential(0.1, math.inf), ValueError),
        (lambda: schedules.cosine(0.1, 0), ValueError),
        (lambda: schedules.cosine(0.1, 10, -0.1), ValueError),
        (lambda: schedules.linear_warmup(0.1, 0), ValueError),
        (lambda: schedules.linear_warmup(0.1, 5, then=0.1), TypeError),
        (lambda: schedules.linear_warmup(0.1, 5, start_factor=1.5), ValueError),
        (lambda: schedules.transformer(0), ValueError),
        (lambda: schedules.transformer(512, 0), ValueError),
        (lambda: schedules.transformer(512, math.nan), ValueError),
        (lambda: schedules.constant(0.1)(-1), ValueError),
        (lambda: schedules.constant(0.1)(1.5), TypeError),
    ],
)
def test_bad_arguments(make, error):
    with pytest.raises(error, match="must be"):
        make()
