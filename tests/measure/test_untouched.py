import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from d2lstab.measure.untouched import checked_model, model_output, untouched


def make():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1).double()).eval()


def inside(model, disturb, fail):
    """Do something to a model that is to come back as it was, and perhaps fail then."""

    def work():
        disturb()
        if fail:
            raise RuntimeError("broken")

    expected = pytest.raises(RuntimeError, match="broken") if fail else nullcontext()
    with expected, untouched(model):
        work()


@pytest.mark.parametrize("fail", [False, True])
def test_everything_is_put_back(fail):
    model = make()
    values = [t.clone() for t in model.state_dict().values()]
    objects = [*model.parameters(), *model.buffers()]
    random = torch.get_rng_state()

    def disturb():
        model.train()
        model[1](torch.rand(4, 3))
        model[0].weight.data.mul_(2)
        model[2].bias = nn.Parameter(torch.ones(1))
        with torch.no_grad():
            model[1].running_mean.fill_(7)

    inside(model, disturb, fail)
    assert all(torch.equal(a, b) for a, b in zip(values, model.state_dict().values(), strict=True))
    now = [*model.parameters(), *model.buffers()]
    assert all(a is b for a, b in zip(objects, now, strict=True))
    assert torch.equal(random, torch.get_rng_state())
    assert not any(m.training for m in model.modules())


@pytest.mark.parametrize("fail", [False, True])
def test_what_requires_a_gradient_still_does_and_no_more(fail):
    model = make()
    model[2].requires_grad_(False)
    before = [t.requires_grad for t in [*model.parameters(), *model.buffers()]]

    def disturb():
        model[0].weight.requires_grad_(False)
        model[2].weight.requires_grad_(True)
        model[1].running_mean.add_(model[0].bias)  # with its graph
        model[1].running_var.requires_grad_(True)

    inside(model, disturb, fail)
    now = [*model.parameters(), *model.buffers()]
    assert [t.requires_grad for t in now] == before
    assert all(t.is_leaf for t in now)
    assert model[1].running_mean.tolist() == [0.0, 0.0, 0.0]


def test_a_buffer_that_is_a_view_does_not_stop_the_others():
    model = make()
    model.register_buffer("part", torch.zeros(4)[:3])
    with untouched(model):
        model.part.add_(model[0].bias)
        model[0].weight.requires_grad_(False)
    assert model[0].weight.requires_grad
    assert not model.part.any()


def test_what_did_not_change_is_not_written():
    model = make()
    versions = [t._version for t in [*model.parameters(), *model.buffers()]]
    with untouched(model):
        model[0](torch.ones(2, 2))
    assert versions == [t._version for t in [*model.parameters(), *model.buffers()]]


def test_a_model_without_any_tensor():
    with untouched(nn.ReLU()):
        pass


@pytest.mark.parametrize(
    "model", [nn.LazyLinear(1), nn.Sequential(nn.ReLU(), nn.LazyBatchNorm1d())]
)
def test_lazy_models_are_refused(model):
    with pytest.raises(ValueError, match="run the model once"):
        checked_model(model)


@pytest.mark.parametrize("part", [0, 1])
def test_models_without_numbers_are_refused(part):
    """A parameter, or only a buffer, on the meta device."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, affine=False))
    model[part].to("meta")
    with pytest.raises(ValueError, match=r"numbers .* got Sequential on the meta .*to_empty"):
        checked_model(model)


def test_parameters_of_inference_mode_are_refused():
    with torch.inference_mode():
        model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"got Linear made in torch\.inference_mode"):
        checked_model(model)
    assert checked_model(copy.deepcopy(model))


def test_only_an_error_is_blamed_on_the_dtype():
    class Converts(nn.Linear):
        def forward(self, x):
            return super().forward(x.float())

    assert model_output(Converts(2, 1), torch.ones(1, 2, dtype=torch.int64)).shape == (1, 1)
    with pytest.raises(RuntimeError, match="shapes"):
        model_output(nn.Linear(3, 1), torch.ones(1, 2))
    with pytest.raises(TypeError, match="x must be of the model's dtype"):
        model_output(nn.Linear(2, 1), torch.ones(1, 2).half(), "x")
