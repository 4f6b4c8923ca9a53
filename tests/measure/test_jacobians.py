import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from d2lstab.measure.jacobians import input_output_jacobian, layer_jacobians, singular_values
from d2lstab.specimens.networks import mlp


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def product(factors):
    whole = factors[0]
    for factor in factors[1:]:
        whole = factor @ whole
    return whole


def deviation(a, b):
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-300))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 8), min_size=2, max_size=6),
    phi=st.sampled_from(["tanh", "sigmoid", "relu", "gelu", "mish", "linear"]),
    seed=st.integers(0, 2**31),
    batch=st.one_of(st.none(), st.integers(1, 4)),
)
def test_whole_is_the_product_of_the_layers_and_of_the_written_factors(widths, phi, seed, batch):
    net = mlp(widths, phi, generator=seeded(seed), dtype=torch.float64)
    x = normal(*([] if batch is None else [batch]), widths[0], seed=seed)
    whole = input_output_jacobian(net, x)
    assert whole.shape == (*x.shape[:-1], widths[-1], widths[0])
    assert deviation(product(layer_jacobians(net, x)), whole) < 1e-12
    samples = x.unsqueeze(0) if batch is None else x
    for sample, jacobian in zip(samples, whole.reshape(-1, widths[-1], widths[0]), strict=True):
        reference = torch.autograd.functional.jacobian(net, sample)
        assert deviation(jacobian, reference) < 1e-12
        factors, h = [], sample
        for layer in net:
            if isinstance(layer, nn.Linear):
                factors.append(layer.weight.detach())
            else:
                h = h.detach().requires_grad_()
                (slope,) = torch.autograd.grad(layer(h).sum(), h)
                factors.append(torch.diag(slope))
            h = layer(h)
        assert deviation(product(factors), reference) < 1e-12


def test_tanh_layer_is_diag_of_slopes_times_weight():
    net = nn.Sequential(nn.Linear(3, 5, dtype=torch.float64), nn.Tanh())
    x = normal(3)
    weight = net[0].weight.detach()
    slopes = 1 - torch.tanh(weight @ x + net[0].bias.detach()) ** 2
    torch.testing.assert_close(
        input_output_jacobian(net, x), torch.diag(slopes) @ weight, rtol=1e-13, atol=1e-15
    )


def test_images_are_flattened_and_blocks_count_as_one_layer():
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True)),
        nn.MaxPool2d(2),
        nn.Flatten(),
        mlp([12, 6, 6, 4], "relu", generator=seeded(), residual=True),
    ).double()
    x = normal(3, 2, 6, 6)
    whole = input_output_jacobian(net, x)
    assert whole.shape == (3, 4, 72)
    reference = torch.autograd.functional.jacobian(lambda v: net(v)[0], x[:1]).reshape(4, 72)
    assert deviation(whole[0], reference) < 1e-12
    layers = layer_jacobians(net, x)
    assert len(layers) == 8
    assert deviation(product(layers), whole) < 1e-12


def test_many_outputs_are_computed_in_blocks(monkeypatch):
    net = mlp([5, 9, 7], "tanh", generator=seeded(), dtype=torch.float64)
    x = normal(4, 5)
    whole = input_output_jacobian(net, x)
    monkeypatch.setattr("d2lstab.measure.jacobians._LARGEST_BLOCK", 60)
    torch.testing.assert_close(input_output_jacobian(net, x), whole, rtol=1e-14, atol=0)


def test_singular_values_of_orthogonal_and_of_chosen_weights():
    net = mlp([6] * 5, "linear", generator=seeded(), init="orthogonal", dtype=torch.float64)
    values = singular_values(net, normal(3, 6))
    torch.testing.assert_close(values, torch.ones(3, 6, dtype=torch.float64), rtol=1e-12, atol=0)
    layer = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, -4.0, 0.0], [0.5, 0.0, 0.0]]))
    assert singular_values(layer, normal(3)).tolist() == pytest.approx([4.0, 0.5], rel=1e-14)


def test_an_output_that_ignores_its_input_has_jacobian_zero():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x):
            return self.bias

    assert torch.equal(input_output_jacobian(Constant(), normal(3)), torch.zeros(2, 3).double())


def test_batch_normalization_in_training_mode_is_refused_and_fine_in_eval_mode():
    net = mlp([3, 4, 2], "tanh", generator=seeded(), norm="batch", dtype=torch.float64)
    for function in (input_output_jacobian, singular_values, layer_jacobians):
        with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
            function(net, normal(5, 3))
    net.eval()
    assert (
        deviation(
            product(layer_jacobians(net, normal(5, 3))), input_output_jacobian(net, normal(5, 3))
        )
        < 1e-12
    )


def test_dropout_is_drawn_once_and_the_same_for_whole_and_layers():
    net = nn.Sequential(nn.Linear(4, 6), nn.Dropout(), nn.Linear(6, 3)).double()
    whole = input_output_jacobian(net, normal(2, 4))
    assert deviation(product(layer_jacobians(net, normal(2, 4))), whole) < 1e-12


@pytest.mark.parametrize("function", [input_output_jacobian, layer_jacobians, singular_values])
def test_no_trace_is_left_even_by_a_model_that_raises(function):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), Broken()).double()
    net[0].requires_grad_(False)
    whole = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)).double()
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    x = normal(5, 3)
    kept = x.clone()
    with pytest.raises((RuntimeError, ValueError), match=r"broken|mixes"):
        function(net, x)
    with torch.inference_mode():
        function(whole, x)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    assert torch.equal(torch.get_rng_state(), rng)
    assert net.training
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert all(p.grad is None for p in [*net.parameters(), *whole.parameters()])


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("function", [input_output_jacobian, layer_jacobians, singular_values])
@pytest.mark.parametrize(
    ("model", "x", "error", "says"),
    [
        (torch.relu, torch.ones(2), TypeError, "model must be"),
        (nn.LazyLinear(2), torch.ones(2), ValueError, "run the model once"),
        (nn.Linear(2, 1, device="meta"), torch.ones(2), ValueError, "numbers in its parameters"),
        (nn.Linear(2, 1), [1.0, 2.0], TypeError, "x must be"),
        (nn.Linear(2, 1), torch.ones(2, dtype=torch.int64), TypeError, "x must be"),
        (nn.Linear(2, 1), torch.ones(2, dtype=torch.float64), TypeError, "x must be of the model"),
        (nn.Linear(2, 1), torch.ones(0, 2), ValueError, "x must be"),
        (nn.Linear(2, 1), torch.tensor(1.0), ValueError, "x must have"),
        (nn.Linear(2, 1), torch.tensor([1.0, math.nan]), ValueError, "x must be finite"),
        (nn.Linear(2, 1), torch.tensor([1.0, math.inf]), ValueError, "x must be finite"),
        (Returns(lambda x: (x, x)), torch.ones(2), TypeError, "one floating-point tensor"),
        (Returns(lambda x: x.argmax()), torch.ones(2), TypeError, "one floating-point tensor"),
        (Returns(lambda x: x.detach()), torch.ones(2), ValueError, "differentiable"),
        (Returns(lambda x: x.sum()), torch.ones(2, 2), ValueError, "one row for each"),
        (Returns(lambda x: x.flip(0)), torch.ones(2, 2), ValueError, "mixes the batch"),
    ],
)
def test_bad_input_is_told_what_to_do(function, model, x, error, says):
    with pytest.raises(error, match=says):
        function(model, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_singular_values_in_half_precision_are_those_of_the_rounded_jacobian(dtype):
    net = mlp([4, 5, 3], "tanh", generator=seeded(), dtype=torch.float64).to(dtype)
    x = normal(2, 4).to(dtype)
    values = singular_values(net, x)
    assert values.dtype == torch.float32
    expected = torch.linalg.svdvals(input_output_jacobian(net, x).double())
    torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=1e-6)


def test_singular_values_of_a_jacobian_that_is_not_finite():
    with pytest.raises(ValueError, match="Jacobian must be finite"):
        singular_values(Returns(torch.sqrt), torch.zeros(2))
