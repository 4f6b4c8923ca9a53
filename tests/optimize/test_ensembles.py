"""An ensemble is its members trained one after another, to round-off."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.optimize import rules
from d2lstab.optimize.ensembles import train_ensemble
from d2lstab.optimize.training import train


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def members(count, *extra):
    models = []
    for i in range(count):
        model = nn.Sequential(
            nn.Linear(4, 5), *deepcopy(extra), nn.Tanh(), nn.Linear(5, 3)
        ).double()
        with torch.no_grad():
            for j, p in enumerate(model.parameters()):
                p.copy_(normal(*p.shape, seed=10 * i + j) / 2)
        models.append(model)
    return models


X, CLASSES = normal(23, 4, seed=99), torch.arange(23) % 3


@pytest.mark.parametrize("batch_size", [5, None])
@pytest.mark.parametrize(
    "rule", [rules.sgd(0.3), rules.momentum(0.1), rules.adam(0.05), rules.rmsprop(0.01)]
)
def test_equals_the_loop(rule, batch_size):
    models = members(4)
    together = train_ensemble(
        models, (X, CLASSES), rule, loss_fn=F.cross_entropy, updates=12,
        batch_size=batch_size, generator=seeded(3),
    )  # fmt: skip
    assert together.losses.shape == (12, 4)
    for i, model in enumerate(models):
        history = train(
            model, (X, CLASSES), rule, loss_fn=F.cross_entropy, updates=12,
            batch_size=batch_size or 23, generator=seeded(3),
        )  # fmt: skip
        torch.testing.assert_close(
            together.losses[:, i], torch.as_tensor(history.losses).double(), rtol=1e-9, atol=1e-12
        )
        for name, p in model.named_parameters():
            found = together.models[i].get_parameter(name)
            torch.testing.assert_close(found, p, rtol=1e-9, atol=1e-11)
            assert torch.equal(found, together.parameters[name][i])


def test_running_statistics_belong_to_a_member():
    models = members(3, nn.BatchNorm1d(5))
    batches = [(X[:12], CLASSES[:12]), (X[12:], CLASSES[12:])]
    together = train_ensemble(
        models, batches, rules.sgd(0.1), loss_fn=F.cross_entropy, updates=5
    )  # fmt: skip
    for i, model in enumerate(models):
        train(model, batches, rules.sgd(0.1), loss_fn=F.cross_entropy, updates=5)
        torch.testing.assert_close(
            dict(together.models[i].named_buffers()), dict(model.named_buffers())
        )
        assert together.models[i][1].num_batches_tracked.item() == 5


def test_models_are_left_as_they_came():
    models = members(2)
    models[0].eval()
    models[1][0].weight.grad = torch.ones(5, 4, dtype=torch.float64)
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in models]
    random = torch.random.get_rng_state()
    result = train_ensemble(
        models, (X, CLASSES), rules.sgd(1.0), loss_fn=F.cross_entropy, updates=2
    )
    for model, values in zip(models, before, strict=True):
        assert all(torch.equal(v, values[k]) for k, v in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert [m.training for m in result.models] == [False, True]
    assert models[1][0].weight.grad is not None
    assert result.models[0] is not models[0]
    assert all(p.requires_grad for p in result.models[0].parameters())
    assert not result.losses.requires_grad


def test_frozen_parameters_stay():
    models = members(2)
    for model in models:
        model[0].requires_grad_(False)
    result = train_ensemble(
        models, (X, CLASSES), rules.sgd(1.0), loss_fn=F.cross_entropy, updates=2
    )
    for old, new in zip(models, result.models, strict=True):
        assert torch.equal(old[0].weight, new[0].weight)
        assert not torch.equal(old[2].weight, new[2].weight)
    assert set(result.parameters) == set(dict(models[0].named_parameters()))


def test_one_that_diverges_leaves_the_others_alone():
    models = members(3)
    with torch.no_grad():
        models[1][0].weight.fill_(torch.nan)
    options = {"loss_fn": F.cross_entropy, "updates": 3}
    result = train_ensemble(models, (X, CLASSES), rules.sgd(0.1), **options)
    healthy = train_ensemble([models[0], models[2]], (X, CLASSES), rules.sgd(0.1), **options)
    assert result.losses[:, 1].isnan().all()
    torch.testing.assert_close(result.losses[:, [0, 2]], healthy.losses)


GOOD = {
    "models": members(2), "data": (X, CLASSES), "rule": rules.sgd(0.1),
    "loss_fn": F.cross_entropy, "updates": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"models": []}, ValueError, "at least one model"),
        ({"models": members(1)[0]}, TypeError, "list of torch.nn.Modules"),
        ({"models": [F.relu]}, TypeError, "torch.nn.Modules"),
        ({"models": [nn.Tanh(), nn.Tanh()]}, ValueError, "requires a gradient"),
        ({"models": [nn.Linear(4, 3), nn.Linear(4, 2)]}, ValueError, "index 1"),
        ({"models": [nn.Linear(4, 3), nn.Linear(4, 3).double()]}, ValueError, "index 1"),
        ({"rule": torch.optim.SGD(members(1)[0].parameters())}, TypeError, "rule must be"),
        ({"loss_fn": "ce"}, TypeError, "loss_fn"),
        ({"loss_fn": lambda out, y: out}, ValueError, "must be a scalar"),
        ({"loss_fn": lambda out, y: 1.0}, ValueError, "must be a scalar"),
        ({"loss_fn": lambda out, y: out.detach().sum()}, ValueError, "must depend on"),
        ({"updates": 0}, ValueError, "updates"),
        ({"updates": 1.5}, TypeError, "updates"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 24, "generator": seeded()}, ValueError, "batch_size"),
        ({"batch_size": 5}, TypeError, "generator"),
        ({"data": (X, CLASSES[:3])}, ValueError, "as many inputs as targets"),
        ({"data": 3}, TypeError, "data must be"),
    ],
)
def test_bad_input(changed, error, words):
    with pytest.raises(error, match=words):
        train_ensemble(**(GOOD | changed))


def test_a_parameter_that_the_loss_does_not_use_stays():
    models = members(2)
    for model in models:
        model.register_parameter("spare", nn.Parameter(normal(2)))
    result = train_ensemble(
        models, (X, CLASSES), rules.sgd(1.0), loss_fn=F.cross_entropy, updates=1
    )  # fmt: skip
    for old, new in zip(models, result.models, strict=True):
        assert torch.equal(old.spare, new.spare)
        assert not torch.equal(old[2].weight, new[2].weight)


def test_an_ensemble_is_trained_without_torch_s_compiler():
    script = (
        "import sys, torch; from torch import nn; from d2lstab.optimize.rules import sgd; "
        "from d2lstab.optimize.ensembles import train_ensemble; "
        "train_ensemble([nn.Linear(1, 1)], (torch.ones(1, 1), torch.ones(1, 1)), sgd(0.1), "
        "updates=1, loss_fn=nn.functional.mse_loss); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.layer(x[:, None])[0][:, -1])


class Indices(nn.Module):
    def forward(self, x):
        return (x > 0).long()[:, :1]


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (Recurrent().double(), TypeError, "aten::lstm.* Train one model after another with train"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.Dropout()).double(),
            ValueError,
            "deterministic in train mode",
        ),
        (
            nn.Sequential(Indices(), nn.Embedding(2, 3, sparse=True), nn.Flatten()),
            TypeError,
            r"sparse ones for 1\.weight",
        ),
        (nn.LazyLinear(3), ValueError, "run the model once"),
        (nn.Linear(4, 3), TypeError, r"inputs must .* with \.to\(torch\.float32\)"),
        (nn.Linear(7, 3).double(), RuntimeError, "mat1 and mat2 shapes"),
    ],
    ids=["lstm", "dropout", "sparse", "lazy", "dtype", "width"],
)
def test_what_cannot_be_trained_together_is_told(model, error, words):
    random = torch.get_rng_state()
    with pytest.raises(error, match=words):
        train_ensemble(
            [model, model], (X, CLASSES), rules.sgd(0.1), loss_fn=F.cross_entropy, updates=1
        )
    assert torch.equal(torch.get_rng_state(), random)


def test_a_complex_loss_is_refused():
    with pytest.raises(ValueError, match=r"loss must be real, got torch\.complex128"):
        train_ensemble(
            members(2), (X, CLASSES), rules.sgd(0.1), loss_fn=lambda o, t: o.sum() + 0j, updates=1
        )


@pytest.mark.parametrize("inside", [True, False])
def test_the_caller_may_be_in_inference_mode(inside):
    models = members(2)

    def trained(x, y):
        return train_ensemble(models, (x, y), rules.adam(0.1), loss_fn=F.cross_entropy, updates=2)

    usual = trained(X, CLASSES)
    with torch.inference_mode():
        x, y = X + 0, CLASSES + 0  # inference tensors
    with torch.inference_mode(inside):
        result = trained(x, y)
    assert torch.equal(result.losses, usual.losses)
    assert not any(p.is_inference() for model in result.models for p in model.parameters())
