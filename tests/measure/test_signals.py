import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure.signals import record_signals
from d2lstab.specimens.networks import mlp


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def mean_square(y, _targets=None):
    return (y[0] if isinstance(y, tuple) else y).square().mean()


def linear(*sizes):
    return mlp(sizes, "linear", generator=seeded(), dtype=torch.float64)


def state(model):
    return (
        copy.deepcopy(model.state_dict()),
        [m.training for m in model.modules()],
        [p.grad for p in model.parameters()],
        [p.requires_grad for p in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        torch.get_rng_state(),
    )


def assert_same(before, after):
    for key in before[0]:
        torch.testing.assert_close(before[0][key], after[0][key], rtol=0, atol=0, equal_nan=True)
    assert before[1:5] == after[1:5]
    assert torch.equal(before[5], after[5])


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("phi", ["tanh", "relu", "scaled_sigmoid", "linear"])
def test_moments_are_those_of_a_forward_and_backward_pass_by_hand(phi, residual):
    model = mlp([5, 6, 6, 3], phi, generator=seeded(), residual=residual, dtype=torch.float64)
    x, y = normal(8, 5), torch.arange(8) % 3
    signals = record_signals(model, F.cross_entropy, x, y)
    outputs = []
    hooks = [
        m.register_forward_hook(lambda _m, _a, out: outputs.append(out.clone()) or outputs[-1])
        for m in model.modules()
        if not list(m.children())
    ]
    loss = F.cross_entropy(model(x), y)
    gradients = torch.autograd.grad(loss, [*outputs, *model.parameters()])
    for hook in hooks:
        hook.remove()
    assert len(signals.layers) == len(outputs) == 5 + residual  # the block's sum is a leaf too
    for layer, out, g in zip(signals.layers, outputs, gradients, strict=False):
        assert layer.reached
        assert math.isclose(
            layer.forward_second_moment, out.detach().square().mean(), rel_tol=1e-12
        )
        assert math.isclose(layer.backward_second_moment, g.square().mean(), rel_tol=1e-12)
        levels = torch.tensor(signals.quantile_levels, dtype=torch.float64)
        expected = torch.quantile(g.abs().flatten(), levels)
        torch.testing.assert_close(torch.tensor(layer.gradient_quantiles).double(), expected)
    assert math.isclose(signals.loss, loss.item(), rel_tol=1e-12)
    total = math.sqrt(sum(float(g.square().sum()) for g in gradients[len(outputs) :]))
    assert math.isclose(signals.gradient_norm, total, rel_tol=1e-12)
    by_name = dict(zip(dict(model.named_parameters()), gradients[len(outputs) :], strict=True))
    for layer in signals.layers:
        if layer.kind == "Linear":
            weight = model.get_parameter(f"{layer.name}.weight").detach()
            assert math.isclose(layer.weight_norm, weight.norm(), rel_tol=1e-12)
            assert math.isclose(
                layer.weight_gradient_norm, by_name[f"{layer.name}.weight"].norm(), rel_tol=1e-12
            )
        else:
            assert math.isnan(layer.weight_norm)


def test_names_follow_the_forward_order_and_count_the_calls_of_a_shared_module():
    shared = nn.Linear(3, 3, dtype=torch.float64)
    model = nn.Sequential(nn.Sequential(shared, nn.Tanh()), shared, shared)
    layers = record_signals(model, mean_square, normal(4, 3), None).layers
    assert [layer.name for layer in layers] == ["0.0", "0.1", "0.0#2", "0.0#3"]
    assert len({layer.backward_second_moment for layer in layers}) == 4


def test_a_module_alone_has_the_name_of_its_class():
    assert (
        record_signals(linear(2, 2)[0], mean_square, normal(3, 2), None).layers[0].name == "Linear"
    )


@pytest.mark.parametrize("make", [lambda: nn.ReLU(), lambda: nn.ReLU(inplace=True)])
def test_in_place_activations_change_nothing(make):
    def network(activation):
        torch_layers = linear(4, 5, 5, 2)
        return nn.Sequential(
            torch_layers[0], activation(), nn.Flatten(0), nn.Unflatten(0, (-1, 5)), activation(),
            torch_layers[2], activation(), torch_layers[4],
        )  # fmt: skip

    x = normal(6, 4)
    plain = record_signals(network(nn.ReLU), mean_square, x, None)
    ours = record_signals(network(make), mean_square, x, None)
    for a, b in zip(plain.layers, ours.layers, strict=True):
        assert (a.forward_second_moment, a.backward_second_moment, a.gradient_quantiles) == (
            b.forward_second_moment, b.backward_second_moment, b.gradient_quantiles,
        )  # fmt: skip
        assert a.weight_gradient_norm == b.weight_gradient_norm or math.isnan(a.weight_norm)
    relus = [layer for layer in ours.layers if layer.kind == "ReLU"]
    assert 0 < relus[0].saturated_share < 1


def test_in_place_on_a_frozen_model():
    model = nn.Sequential(linear(3, 4)[0], nn.ReLU(inplace=True), linear(4, 2)[0])
    reference = record_signals(model, mean_square, normal(5, 3), None)
    frozen = record_signals(model.requires_grad_(False), mean_square, normal(5, 3), None)
    for a, b in zip(reference.layers, frozen.layers, strict=True):
        assert a.backward_second_moment == b.backward_second_moment
        assert math.isnan(b.weight_gradient_norm)
    assert math.isnan(frozen.gradient_norm)
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_modules_that_return_tuples_describe_the_part_the_loss_sees(kind):
    class Reader(nn.Module):
        def __init__(self, part):
            super().__init__()
            self.rnn, self.part = kind(3, 4, dtype=torch.float64), part

        def forward(self, x):
            out, last = self.rnn(x)
            return out if self.part == 0 else (last[0] if kind is nn.LSTM else last)

    x = normal(5, 2, 3)
    whole = record_signals(Reader(0), lambda y, _: y.sum(), x, None).layers[0]
    assert whole.backward_second_moment == 1.0
    last = record_signals(Reader(1), lambda y, _: 2 * y.sum(), x, None).layers[0]
    assert last.reached
    # an LSTM's state is (h, c), of which the loss sees h alone
    assert last.backward_second_moment == (2.0 if kind is nn.LSTM else 4.0)
    assert last.weight_gradient_norm > 0


def test_lists_and_dicts_are_pooled():
    class Lists(nn.Module):
        def forward(self, x):
            return {"a": [x, 3 * x], "n": 2}

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lists = Lists()

        def forward(self, x):
            return self.lists(x)["a"][1]

    layer = record_signals(Model(), lambda y, _: y.sum(), torch.ones(4, 2), None).layers[0]
    assert layer.forward_second_moment == 5.0
    assert layer.backward_second_moment == 0.5  # 0 by the first tensor, 1 by the second


def test_functional_activations_and_direct_use_of_children():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = linear(3, 3)[0], linear(3, 2)[0]

        def forward(self, x):
            return F.linear(torch.tanh(self.a(x)), self.b.weight)

    assert [e.name for e in record_signals(Functional(), mean_square, normal(2, 3), 0).layers] == [
        "a"
    ]
    attention = nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, x, x)[0]

    layer = record_signals(Attend(), mean_square, normal(2, 3, 4), 0).layers[0]
    assert (layer.name, layer.kind) == ("attention", "MultiheadAttention")
    assert layer.weight_gradient_norm > 0
    assert math.isnan(layer.saturated_share)


def test_parametrized_weights():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(linear(3, 2)[0]), nn.Tanh())
    names = [e.name for e in record_signals(model, mean_square, normal(4, 3), 0).layers]
    assert names == ["0", "1"]


def test_outputs_that_the_loss_does_not_reach_have_gradient_zero():
    class Detour(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused, self.quiet = (linear(3, 3)[0] for _ in range(3))

        def forward(self, x):
            self.unused(x)
            with torch.no_grad():
                x = self.quiet(x)
            return self.used(x)

    unused, quiet, used = record_signals(Detour(), mean_square, normal(2, 3), 0).layers
    for layer in (unused, quiet):
        assert not layer.reached
        assert layer.backward_second_moment == layer.weight_gradient_norm == 0.0
        assert layer.gradient_quantiles == (0.0,) * 5
        assert layer.forward_second_moment > 0
    assert used.reached


def test_integer_inputs_and_integer_outputs():
    class Round(nn.Module):
        def forward(self, x):
            return x.argmax(-1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.round = nn.Embedding(7, 3, sparse=True), Round()

        def forward(self, x):
            h = self.embed(x)
            return h * self.round(h).unsqueeze(-1).add(1)

    embed, rounded = record_signals(Model(), mean_square, torch.arange(6), None).layers
    assert embed.weight_gradient_norm > 0
    assert not rounded.reached
    assert math.isnan(rounded.forward_second_moment)
    assert math.isnan(rounded.backward_second_moment)


def test_shares_are_exact_counts():
    class Fixed(nn.Module):
        def forward(self, x):
            return x * torch.tensor([1.0, 0.0, 65520.0, 65519.0, 2.0**-25, 2.0**-24])

    weights = torch.tensor([0.0, 2.0, 1e6, 1e-9, 3.0, 1.0])
    signals = record_signals(Fixed(), lambda y, w: (y * w).sum(), torch.ones(4, 6), weights)
    layer = signals.layers[0]
    assert layer.dead_share == 1 / 6
    assert (layer.forward_overflow, layer.forward_underflow) == (1 / 6, 1 / 6)
    assert layer.forward_non_finite == 0
    assert (layer.backward_overflow, layer.backward_underflow) == (1 / 6, 1 / 6)
    assert signals.dtype == torch.float16
    wide = record_signals(
        Fixed(), lambda y, w: y.sum(), torch.ones(4, 6), weights, dtype=torch.bfloat16
    )
    assert (wide.layers[0].forward_overflow, wide.layers[0].forward_underflow) == (0, 0)


@pytest.mark.parametrize(
    ("module", "edge"),
    # where the derivative falls to 0.01: sigmoid' = e(1-e) at e = sigmoid(-x), tanh' = 1 - y^2
    [
        (nn.Sigmoid(), -math.log(0.5 - math.sqrt(0.25 - 0.01)) + math.log(0.5 + math.sqrt(0.24))),
        (nn.Tanh(), math.atanh(math.sqrt(0.99))),
        (nn.Hardtanh(), 1.0),
    ],
)
def test_saturation_begins_where_the_derivative_falls_below_one_percent(module, edge):
    identity = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(identity.weight)
    x = torch.tensor([-1.001, -0.999, 0.0, 0.999, 1.001], dtype=torch.float64).unsqueeze(1) * edge
    layers = record_signals(nn.Sequential(identity, module), mean_square, x, 0).layers
    assert layers[1].saturated_share == 0.4
    assert math.isnan(layers[0].saturated_share)


def test_saturation_of_relu_is_its_inactive_share_and_of_any_function_counted():
    model = mlp([6, 50, 50, 2], "relu", generator=seeded(), dtype=torch.float64)
    x = normal(30, 6)
    inactive = float((model[0](x) <= 0).double().mean())
    layer = record_signals(model, mean_square, x, 0).layers[1]
    assert layer.saturated_share == inactive

    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / 2

        @staticmethod
        def backward(ctx, g):
            return torch.where(torch.arange(g.shape[-1]) < 1, 0.0, 0.5) * g

    model = mlp([6, 4, 2], Halved.apply, generator=seeded(), dtype=torch.float64)
    assert record_signals(model, mean_square, x, 0).layers[1].saturated_share == 0.25
    model = mlp([6, 4, 2], F.mish, generator=seeded(), dtype=torch.float64)
    assert record_signals(model, mean_square, x, 0).layers[1].saturated_share < 0.2


def test_dead_units_are_zero_for_every_sample():
    model = nn.Sequential(linear(2, 4)[0], nn.ReLU())
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([-1.0, 1.0, 0.0, 2.0]))
    first, second = record_signals(model, mean_square, normal(3, 2), 0).layers
    assert (first.dead_share, second.dead_share) == (0.25, 0.5)


def test_nan_and_infinity_are_data():
    model = linear(3, 2)
    x = normal(4, 3)
    x[0, 0] = math.nan
    layer = record_signals(model, mean_square, x, 0).layers[0]
    assert layer.forward_non_finite == 0.25
    assert math.isnan(layer.forward_second_moment)
    assert all(math.isnan(q) for q in layer.gradient_quantiles)
    exploding = mlp([4, 8, 8, 8, 2], "relu", generator=seeded(), init=1e15)
    signals = record_signals(exploding, mean_square, normal(5, 4, dtype=torch.float32), 0)
    assert not math.isfinite(signals.loss)
    assert signals.layers[-1].forward_non_finite == 1
    assert signals.layers[2].forward_second_moment > 1e38  # float64 holds what float32 cannot


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_dtype_of_the_model_is_kept(dtype):
    model = mlp([4, 3, 2], "relu", generator=seeded(), dtype=dtype, init="he_normal")
    x = normal(6, 4, dtype=dtype)
    layer = record_signals(model, mean_square, x, 0).layers[0]
    out = model[0](x).detach().double()
    assert math.isclose(layer.forward_second_moment, out.detach().square().mean(), rel_tol=1e-12)


def test_quantiles_of_a_large_tensor_come_from_a_sample():
    class Weighted(nn.Module):
        def forward(self, x):
            return x

    weights = torch.rand(512, 256, generator=seeded(), dtype=torch.float64)
    x = torch.ones(512, 256, dtype=torch.float64)
    signals = record_signals(Weighted(), lambda y, w: (y * w).sum(), x, weights)
    # uniform gradients: the error of a sample of m >= 4096 has sd sqrt(p (1-p) / m) <= 0.0079
    for level, got in zip(
        signals.quantile_levels, signals.layers[0].gradient_quantiles, strict=True
    ):
        assert abs(got - level) < 5 * math.sqrt(level * (1 - level) / 4096)


def noisy():
    return nn.Sequential(
        linear(3, 4)[0], nn.BatchNorm1d(4, dtype=torch.float64), nn.Dropout(), nn.ReLU()
    )


def test_no_trace_is_left():
    model = noisy()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = state(model)
    record_signals(model, mean_square, normal(5, 3), 0)
    assert_same(before, state(model))
    with torch.no_grad():
        again = record_signals(model, mean_square, normal(5, 3), 0)
    x = normal(5, 3)
    with torch.inference_mode():
        third = record_signals(model.eval(), mean_square, x, 0)
    assert again.gradient_norm > 0
    assert third.layers[2].dead_share == 0


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken")


@pytest.mark.parametrize("where", ["model", "loss", "gradient"])
def test_no_trace_is_left_when_something_raises(where):
    model = noisy().eval() if where == "loss" else noisy()
    if where == "model":
        model.append(Broken())
    before = state(model)

    def loss(y, _):
        if where == "loss":
            raise RuntimeError("broken")
        return y.sum() if where == "model" else torch.exp(y).mul_(y.detach().add_(1)).pow_(2).sum()

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("broken")

    if where == "gradient":
        with pytest.raises(RuntimeError, match="broken"):
            record_signals(model, lambda y, _: Fails.apply(y).sum(), normal(5, 3), 0)
    else:
        with pytest.raises(RuntimeError, match="broken"):
            record_signals(model, loss, normal(5, 3), 0)
    assert_same(before, state(model))


def test_a_model_that_catches_its_own_errors():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.broken, self.good = nn.Sequential(Broken()), linear(3, 2)[0]

        def forward(self, x):
            try:
                return self.broken(x)
            except RuntimeError:
                return self.good(x)

    assert [e.name for e in record_signals(Careful(), mean_square, normal(2, 3), 0).layers] == [
        "good"
    ]


def test_a_graph_that_the_caller_holds_survives():
    model = noisy().eval()
    loss = model(normal(5, 3)).sum()
    record_signals(model, mean_square, normal(5, 3), 0)
    loss.backward()


def test_no_trace_when_the_model_changes_its_own_state():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear(3, 2)[0]
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x):
            self.eval()
            self.count = self.count + 1
            with torch.no_grad():
                out = self.linear(x).sum()
                self.linear.bias.data.add_(1)
            return self.linear(x) * torch.rand(()) + out

    model = Moody()
    before = state(model)
    record_signals(model, mean_square, normal(2, 3), 0)
    assert_same(before, state(model))
    assert model.training


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model": F.relu}, TypeError, "model must be"),
        ({"model": nn.LazyLinear(2)}, ValueError, "run the model once"),
        ({"loss_fn": 3}, TypeError, "loss_fn must be"),
        ({"loss_fn": lambda y, t: y}, ValueError, "loss must be a scalar"),
        ({"loss_fn": lambda y, t: 3.0}, TypeError, "loss must be a floating"),
        ({"loss_fn": lambda y, t: y.argmax()}, TypeError, "loss must be a floating"),
        ({"loss_fn": lambda y, t: y.detach().sum()}, ValueError, "loss must depend"),
        ({"loss_fn": lambda y, t: y.sum().item()}, TypeError, "loss must be a floating"),
        ({"inputs": torch.empty(0, 3)}, ValueError, "at least one sample"),
        ({"inputs": torch.ones(2, 3)}, TypeError, "of the model's dtype torch.float64"),
        ({"inputs": torch.ones(2, 3, dtype=torch.int64)}, TypeError, "got torch.int64"),
        ({"quantiles": [1.5]}, ValueError, "quantiles must be"),
        ({"quantiles": [math.nan]}, ValueError, "quantiles must be"),
        ({"quantiles": ["a"]}, TypeError, "quantiles must be"),
        ({"dtype": torch.int8}, ValueError, "dtype must be"),
        ({"dtype": "float16"}, TypeError, "dtype must be"),
    ],
)
def test_bad_input_is_told_what_to_do(change, error, says):
    arguments = {
        "model": linear(3, 2), "loss_fn": mean_square, "inputs": normal(2, 3), "targets": None,
    } | change  # fmt: skip
    with pytest.raises(error, match=says):
        record_signals(**arguments)
