"""Timing: the arithmetic of medians and epochs, and a model left as it was; never a time."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure import timing
from d2lstab.measure.timing import time_batches


def problem():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    return model, torch.ones(30, 4), torch.zeros(30, dtype=torch.int64)


def test_medians_and_epochs(monkeypatch):
    model, x, y = problem()
    # A clock by which update k (from 0, over all sizes) takes k^2 seconds.
    ticks = [t for k in range(10) for t in (0.0, float(k * k))]
    monkeypatch.setattr(timing, "_clock", lambda device: ticks.pop(0))
    times = time_batches(model, F.cross_entropy, x, y, [2, 7], repeats=3)
    # Two of five are warm-up: medians of (4, 9, 16) and (49, 64, 81).
    assert times.seconds_per_update.tolist() == [9, 64]
    assert times.updates_per_epoch == (15, 5)
    assert times.seconds_per_epoch.tolist() == [9 * 15, 64 * 5]
    assert times.batch_sizes == (2, 7)
    assert times.samples == 30


def test_batches_have_their_size_and_the_epoch_may_be_another():
    seen = []
    model = nn.Linear(4, 3)
    model.register_forward_pre_hook(lambda m, args: seen.append(len(args[0])))
    _, x, y = problem()
    times = time_batches(model, F.cross_entropy, x, y, [30, 1], repeats=2, samples=60000)
    assert seen == [30] * 4 + [1] * 4
    assert times.updates_per_epoch == (2000, 60000)
    assert (times.seconds_per_update > 0).all()


def test_leaves_no_trace():
    model, x, y = problem()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[1].eval()
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    time_batches(model, F.cross_entropy, x, y, [2], repeats=2)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert [m.training for m in model] == [True, False, True, True]
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert model[3].weight.grad is None
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"batch_sizes": []}, ValueError, "batch_sizes must be"),
        ({"batch_sizes": [0]}, ValueError, "positive integer"),
        ({"batch_sizes": [31]}, ValueError, "at most 30"),
        ({"batch_sizes": [1.5]}, TypeError, "positive integer"),
        ({"batch_sizes": [math.nan]}, TypeError, "positive integer"),
        ({"batch_sizes": 4}, TypeError, "batch_sizes must be"),
        ({"batch_sizes": "4"}, TypeError, "batch_sizes must be"),
        ({"repeats": 0}, ValueError, "repeats must be"),
        ({"samples": -1}, ValueError, "samples must be"),
        ({"model": nn.ReLU()}, ValueError, "require a gradient"),
        ({"model": None}, TypeError, "model must be"),
        ({"loss_fn": 1}, TypeError, "loss_fn must be"),
        ({"loss_fn": lambda o, t: o}, ValueError, "scalar"),
        ({"loss_fn": lambda o, t: 1.0}, TypeError, "scalar"),
        ({"loss_fn": lambda o, t: o.sum() + 0j}, ValueError, "real scalar"),
        ({"loss_fn": lambda o, t: o.argmax()}, ValueError, "real scalar"),
        ({"loss_fn": lambda o, t: o.detach().sum()}, ValueError, "must depend on the model's"),
        (
            {"inputs": torch.ones(30, 4, dtype=torch.float64)},
            TypeError,
            r"convert them with \.to\(torch\.float32\)",
        ),
        ({"inputs": torch.ones(0, 4), "targets": torch.ones(0)}, ValueError, "at least one"),
        ({"targets": torch.ones(3)}, ValueError, "equally many"),
        ({"targets": [1]}, TypeError, "must be tensors"),
    ],
)
def test_bad_arguments(changes, error, sentence):
    model, x, y = problem()
    known = {
        "model": model, "loss_fn": F.cross_entropy, "inputs": x, "targets": y, "batch_sizes": [2]
    }  # fmt: skip
    with pytest.raises(error, match=sentence):
        time_batches(**(known | changes))


def test_the_caller_may_compute_without_gradients():
    model, x, y = problem()
    with torch.inference_mode():
        assert time_batches(model, F.cross_entropy, x, y, [2], repeats=2).samples == 30
        x, y = x + 0, y + 0  # inference tensors now
    assert time_batches(model, F.cross_entropy, x, y, [2], repeats=2).samples == 30
