"""Gradient noise against the loop over samples, and against the law it predicts."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure.noise import gradient_noise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(dtype=torch.float64):
    model = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3)).to(dtype)
    random = generator(1)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=random, dtype=dtype)
    return model


def data(n=40):
    x = torch.randn(n, 6, generator=generator(2), dtype=torch.float64)
    return x, torch.randint(3, (n,), generator=generator(3))


def loop(model, loss_fn, x, y):
    """Per-sample gradients one after the other, (N, parameters)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for i in range(len(x)):
        found = torch.autograd.grad(loss_fn(model(x[i : i + 1]), y[i : i + 1]), parameters)
        rows.append(torch.cat([g.flatten() for g in found]))
    return torch.stack(rows)


def brute(model, loss_fn, x, y):
    rows = loop(model, loss_fn, x, y)
    mean = rows.mean(0)
    return (rows - mean).square().sum(1).mean().item(), mean.square().sum().item()


def convolutional():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(8, 3),
    )  # fmt: skip
    return model.double().eval()


@pytest.mark.parametrize("chunk", [None, 1, 7, 39, 40, 1000])
@pytest.mark.parametrize("build", [mlp, convolutional])
def test_equals_the_loop(chunk, build):
    model, (x, y) = build(), data()
    noise = gradient_noise(model, F.cross_entropy, x, y, chunk=chunk)
    trace, squared_norm = brute(model, F.cross_entropy, x, y)
    assert noise.trace == pytest.approx(trace, rel=1e-12)
    assert noise.squared_norm == pytest.approx(squared_norm, rel=1e-12)
    assert noise.simple_scale == pytest.approx(trace / squared_norm, rel=1e-12)
    assert noise.samples == 40


def test_regression_and_summed_losses():
    model, (x, _) = mlp(), data()
    y = torch.randn(40, 3, generator=generator(4), dtype=torch.float64)
    for reduction in ("mean", "sum"):

        def loss_fn(outputs, targets, reduction=reduction):
            return F.mse_loss(outputs, targets, reduction=reduction)

        noise = gradient_noise(model, loss_fn, x, y)
        trace, squared_norm = brute(model, loss_fn, x, y)
        assert noise.trace == pytest.approx(trace, rel=1e-12)
        assert noise.squared_norm == pytest.approx(squared_norm, rel=1e-12)


def test_predicts_all_batches_of_a_small_set():
    # Exhaustive: all 120 batches of 3 among 10 samples, without replacement.
    model, (x, y) = mlp(), data(10)
    noise, n, size = gradient_noise(model, F.cross_entropy, x, y), 10, 3
    rows = loop(model, F.cross_entropy, x, y)
    batches = torch.combinations(torch.arange(n), size)
    errors = (rows[batches].mean(1) - rows.mean(0)).square().sum(1)
    predicted = noise.trace / size * (n - size) / (n - 1)
    assert errors.mean().item() == pytest.approx(predicted, rel=1e-12)


def test_small_noise_on_a_long_gradient_is_not_lost():
    # Gradients 2e6 + 2 and 2e6 - 2 of one weight: E g^2 - (E g)^2 would lose every digit of 4
    # that float64 does not hold beside 4e12.
    line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(line.weight)
    x = torch.ones(2, 1, dtype=torch.float64)
    y = -torch.tensor([[1e6 + 1], [1e6 - 1]], dtype=torch.float64)
    for chunk in (1, 2):
        noise = gradient_noise(line, F.mse_loss, x, y, chunk=chunk)
        assert noise.trace == 4
        assert noise.squared_norm == 4e12


def test_one_sample_has_no_noise_and_a_minimum_no_scale():
    model, (x, y) = mlp(), data(1)
    assert gradient_noise(model, F.cross_entropy, x, y).trace == 0
    line = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(line.weight)
    one = torch.ones(2, 1)
    opposite = torch.tensor([[1.0], [-1.0]])
    assert gradient_noise(line, F.mse_loss, one, opposite).simple_scale == math.inf
    assert math.isnan(gradient_noise(line, F.mse_loss, one, 0 * one).simple_scale)


def test_frozen_parameters_do_not_count():
    model, (x, y) = mlp(), data()
    model[0].requires_grad_(False)
    noise = gradient_noise(model, F.cross_entropy, x, y)
    trace, squared_norm = brute(model, F.cross_entropy, x, y)
    assert noise.trace == pytest.approx(trace, rel=1e-12)
    assert noise.squared_norm == pytest.approx(squared_norm, rel=1e-12)


class Counting(nn.Module):
    """Writes into a buffer whenever it is called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize("fails", [False, True])
def test_leaves_no_trace(fails):
    model, (x, y) = mlp(), data()
    model.append(Counting())
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    if fails:
        with pytest.raises(ValueError, match="scalar"):
            gradient_noise(model, lambda outputs, targets: outputs, x, y)
    else:
        gradient_noise(model, F.cross_entropy, x, y)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert model[0].bias.grad is None
    assert torch.equal(torch.get_rng_state(), rng)
    assert model.training


class BatchNormByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * (x - x.mean(0))


X, Y = torch.zeros(6, 4), torch.zeros(6, dtype=torch.int64)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"model": nn.Sequential(nn.BatchNorm1d(4))}, ValueError, "batch normalization"),
        (
            {"model": nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)).eval()},
            ValueError,
            "batch normalization",
        ),
        ({"model": nn.Sequential(nn.Linear(4, 4), BatchNormByHand())}, ValueError, "in 1"),
        ({"model": nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))}, ValueError, "dropout"),
        ({"model": nn.ReLU()}, ValueError, "require a gradient"),
        ({"model": "mlp"}, TypeError, "model must be"),
        ({"loss_fn": None}, TypeError, "loss_fn must be"),
        ({"loss_fn": lambda o, t: o.sum(1)}, ValueError, "scalar"),
        ({"loss_fn": lambda o, t: 1.0}, TypeError, "scalar"),
        ({"loss_fn": lambda o, t: o.sum() + 0j}, ValueError, "real scalar"),
        ({"loss_fn": lambda o, t: o.argmax()}, ValueError, "real scalar"),
        ({"inputs": X[:0], "targets": Y[:0]}, ValueError, "at least one sample"),
        ({"inputs": X[:3]}, ValueError, "equally many"),
        ({"inputs": X / 0}, ValueError, "NaN"),
        ({"inputs": X + math.inf}, ValueError, "inputs must be finite"),
        ({"inputs": X.double()}, TypeError, r"convert them with \.to\(torch\.float32\)"),
        ({"model": nn.Linear(4, 3, dtype=torch.complex64)}, TypeError, "real parameters"),
        ({"model": nn.Linear(4, 3, device="meta")}, ValueError, "meta"),
        ({"model": nn.LazyLinear(3)}, ValueError, "initialized parameters"),
        ({"inputs": X.tolist()}, TypeError, "inputs must be a tensor"),
        ({"targets": None}, TypeError, "targets must be a tensor"),
        ({"chunk": 0}, ValueError, "chunk must be"),
        ({"chunk": 2.0}, TypeError, "chunk must be"),
    ],
)
def test_bad_arguments(changes, error, sentence):
    known = {"model": nn.Linear(4, 3), "loss_fn": F.cross_entropy, "inputs": X, "targets": Y}
    with pytest.raises(error, match=sentence):
        gradient_noise(**(known | changes))


def test_inactive_dropout_is_fine():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.0))
    assert gradient_noise(model, F.cross_entropy, X + 1, Y).trace >= 0


def test_a_loss_without_the_parameters_is_told():
    x, y = data()
    with pytest.raises(ValueError, match="the loss must depend on the model's parameters"):
        gradient_noise(mlp(), lambda outputs, targets: outputs.detach().sum(), x, y)


def test_the_caller_may_compute_without_gradients():
    model, (x, y) = mlp(), data()
    usual = gradient_noise(model, F.cross_entropy, x, y)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert gradient_noise(model, F.cross_entropy, x, y).trace == usual.trace
