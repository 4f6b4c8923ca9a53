"""Gradients of single samples: what vmap cannot batch, against one backward pass a sample."""

import copy
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure.noise import gradient_noise
from d2lstab.measure.sample_gradients import SampleGradients

RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(9, 4, generator=RANDOM, dtype=torch.float64)
Y = torch.randint(3, (9,), generator=RANDOM)


class Sequence(nn.Module):
    """A layer that takes sequences, here of two, and a head on the last step."""

    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, 3)

    def forward(self, x):
        h = self.layer(torch.stack([x, 1 - x], 1))
        return self.head((h[0] if isinstance(h, tuple) else h)[:, -1])


class Drawing(nn.Module):
    """Random in every mode, from torch's generator or one of its own."""

    def __init__(self, generator=None):
        super().__init__()
        self.head, self.generator = nn.Linear(4, 3), generator

    def forward(self, x):
        return self.head(x * torch.bernoulli(torch.full((4,), 0.5), generator=self.generator))


class Stumbling(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        self.eval()
        raise RuntimeError("stumbled")


def spectral():
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)))


BUILDS = {
    "lstm": lambda: Sequence(nn.LSTM(4, 5, batch_first=True), 5),
    "gru": lambda: Sequence(nn.GRU(4, 5, num_layers=2, batch_first=True), 5),
    "rnn": lambda: Sequence(nn.RNN(4, 5, batch_first=True), 5),
    "transformer": lambda: Sequence(
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 4
    ).eval(),
    "rrelu": lambda: nn.Sequential(nn.Linear(4, 3), nn.RReLU()).eval(),
    "spectral_norm": spectral,
    "decides": lambda: Deciding(),
}


class Deciding(nn.Module):
    """What is computed depends on the numbers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else self.b(x)


def one_by_one(model):
    """Per-sample gradients, each from a fresh copy: a forward pass may change the buffers."""
    rows = []
    for i in range(len(X)):
        own = copy.deepcopy(model)
        F.cross_entropy(own(X[i : i + 1]), Y[i : i + 1]).backward()
        rows.append([torch.zeros_like(p) if p.grad is None else p.grad for p in own.parameters()])
    return [torch.stack([g.flatten() for g in column]) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_any_module_gives_the_gradients_of_the_loop(build):
    model = build().double()
    expected = one_by_one(model)
    found = SampleGradients(copy.deepcopy(model), F.cross_entropy)(X, Y)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-13)

    noise = gradient_noise(model, F.cross_entropy, X, Y, chunk=4)
    rows = torch.cat(expected, 1)
    trace = (rows - rows.mean(0)).square().sum(1).mean().item()
    assert noise.trace == pytest.approx(trace, rel=1e-10)


@pytest.mark.parametrize(
    "model",
    [
        Drawing(),
        Drawing(torch.Generator()),
        nn.Sequential(nn.Linear(4, 3), nn.RReLU()),
        Sequence(nn.LSTM(4, 5, num_layers=2, batch_first=True, dropout=0.5), 5),
    ],
)
def test_draws_are_refused(model):
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="model must be deterministic"):
        gradient_noise(model.double(), F.cross_entropy, X, Y)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_of_the_model_s_own_comes_through_and_leaves_no_trace():
    model = Stumbling().double()
    with pytest.raises(RuntimeError, match="stumbled"):
        gradient_noise(model, F.cross_entropy, X, Y)
    assert model.training


def test_recurrent_models_are_left_as_they_were():
    model = BUILDS["lstm"]().double()
    before = copy.deepcopy(model.state_dict())
    with torch.inference_mode():
        gradient_noise(model, F.cross_entropy, X, Y)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.backends.mha.get_fastpath_enabled()


def test_sparse_gradients_are_refused():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(12, 3))
    with pytest.raises(TypeError, match=r"sparse ones for 0\.weight"):
        gradient_noise(model, F.cross_entropy, torch.zeros(9, 4, dtype=torch.int64), Y)


def test_the_loop_does_without_torch_s_compiler():
    script = (
        "import sys, torch; from torch import nn; "
        "from d2lstab.measure.noise import gradient_noise; "
        "model = nn.RNN(2, 1, batch_first=True); x = torch.ones(3, 1, 2); "
        "gradient_noise(model, lambda out, t: out[0].sum(), x, x); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
