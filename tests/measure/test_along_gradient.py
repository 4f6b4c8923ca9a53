import math

import pytest
import torch
from torch import nn

from d2lstab.measure.along_gradient import along_gradient

HALF_SQUARE = {"loss_fn": lambda y, _: y.square().sum() / 2, "targets": None}


def quadratic(curvatures):
    """L(w) = sum c w^2 / 2 at w = 1, by inputs sqrt(c) on the diagonal."""
    model = nn.Linear(len(curvatures), 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    return model, torch.diag(torch.tensor(curvatures, dtype=torch.float64).sqrt())


def test_on_a_quadratic_everything_is_known():
    c = [1.0, 9.0]
    model, inputs = quadratic(c)
    found = along_gradient(model, inputs=inputs, steps=[0.1, 0.3], **HALF_SQUARE)
    size = math.sqrt(1 + 81)
    turned = math.sqrt(1 + 9**4) / size  # |H g| / |g| at every step
    assert found.relative_change == pytest.approx(turned, rel=1e-12)
    assert found.gradient_distance == pytest.approx(0.3 * math.sqrt(1 + 9**4), rel=1e-12)
    losses = [0.5 * sum(k * (1 - a * k) ** 2 for k in c) for a in (0.0, 0.1, 0.3)]
    assert found.losses.tolist() == pytest.approx(losses, rel=1e-12)
    assert found.loss_range == pytest.approx(abs(losses[1] - losses[2]), rel=1e-12)


def test_the_model_is_returned_as_it_came_also_after_an_error():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    model[0].weight.grad = torch.ones(4, 3)
    x, y = torch.linspace(-1, 1, 15).reshape(5, 3), torch.tensor([0, 1, 0, 1, 1])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    along_gradient(model, nn.functional.cross_entropy, x, y, steps=[0.1])

    def fails(outputs, targets):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        along_gradient(model, fails, x, y, steps=[0.1])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert model[0].weight.grad.equal(torch.ones(4, 3))
    assert model.training


@pytest.mark.parametrize("steps", [[], [0.0], [-0.1], [math.nan], [0.1, math.inf]])
def test_bad_steps_are_refused(steps):
    model, inputs = quadratic([1.0])
    with pytest.raises(ValueError, match="steps must"):
        along_gradient(model, inputs=inputs, steps=steps, **HALF_SQUARE)


def test_a_gradient_of_zero_leads_nowhere():
    model, inputs = quadratic([1.0])
    nn.init.zeros_(model.weight)
    with pytest.raises(ValueError, match="must not be 0"):
        along_gradient(model, inputs=inputs, steps=[0.1], **HALF_SQUARE)


def test_no_module_is_refused():
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        along_gradient(lambda x: x, inputs=torch.ones(1), steps=[0.1], **HALF_SQUARE)
