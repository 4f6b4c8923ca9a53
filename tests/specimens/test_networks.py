import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.specimens.networks import INITIALIZATIONS, Elementwise, ResidualBlock, Sum, mlp


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linears(net):
    return [m for m in net.modules() if isinstance(m, nn.Linear)]


def test_plain_network_is_the_written_formula():
    net = mlp([5, 4, 3, 2], "tanh", generator=seeded(), dtype=torch.float64)
    x = torch.randn(7, 5, generator=seeded(1), dtype=torch.float64)
    h = x
    for layer in linears(net)[:-1]:
        h = torch.tanh(h @ layer.weight.T + layer.bias)
    last = linears(net)[-1]
    torch.testing.assert_close(net(x), h @ last.weight.T + last.bias, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("residual", [True, 0.25])
def test_residual_network_is_the_written_formula(residual):
    net = mlp([3, 4, 4, 4, 2], "relu", generator=seeded(), residual=residual, dtype=torch.float64)
    assert [name for name, _ in net.named_children()] == [
        "linear1",
        "block2",
        "block3",
        "relu3",
        "linear4",
    ]
    x = torch.randn(3, generator=seeded(1), dtype=torch.float64)
    first, second, third, last = linears(net)
    h = first(x)
    for layer in (second, third):
        h = h + float(residual) * layer(torch.relu(h))
    torch.testing.assert_close(net(x), last(torch.relu(h)), rtol=1e-14, atol=1e-14)


def test_default_is_the_initialization_of_torch():
    net = mlp([6, 5, 4], "relu", generator=seeded(3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        reference = [nn.Linear(6, 5), nn.Linear(5, 4)]
    for ours, theirs in zip(linears(net), reference, strict=True):
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)


# The sample variance of N entries deviates by sqrt((kurtosis - 1) / N) relative to the variance:
# sqrt(2/N) for normal weights, less for uniform ones. N = 120,000, bound 5 sd = 2.05 %.
@pytest.mark.parametrize(
    ("init", "variance"),
    [
        ("default", 1 / (3 * 400)),
        ("xavier_normal", 2 / 700),
        ("xavier_uniform", 2 / 700),
        ("he_normal", 2 / 400),
        ("he_uniform", 2 / 400),
        ("lecun_normal", 1 / 400),
        (0.01, 1e-4),
    ],
)
def test_variance_of_the_weights(init, variance):
    weight = (
        linears(mlp([400, 300], "relu", generator=seeded(), init=init))[0].weight.detach().double()
    )
    bound = 5 * math.sqrt(2 / weight.numel())
    assert abs(float(weight.square().mean()) / variance - 1) < bound
    assert abs(float(weight.mean())) < 5 * math.sqrt(variance / weight.numel())


def test_gain_multiplies_the_weights():
    for init in ("xavier_normal", "xavier_uniform", "orthogonal"):
        one = linears(mlp([4, 4], "relu", generator=seeded(), init=init))[0].weight
        two = linears(mlp([4, 4], "relu", generator=seeded(), init=init, gain=2.0))[0].weight
        torch.testing.assert_close(two, 2 * one)


def test_orthogonal_weights_have_singular_values_one():
    net = mlp([6, 6, 3], "tanh", generator=seeded(), init="orthogonal", dtype=torch.float64)
    for layer in linears(net):
        values = torch.linalg.svdvals(layer.weight)
        torch.testing.assert_close(values, torch.ones_like(values), rtol=1e-13, atol=0)


def test_biases_are_zero_or_absent():
    assert all(
        (m.bias == 0).all() for m in linears(mlp([3, 2], "relu", generator=seeded(), init=1))
    )
    assert all(m.bias is None for m in linears(mlp([3, 2], "relu", generator=seeded(), bias=False)))


def test_a_std_of_zero_and_a_function_as_init():
    assert (linears(mlp([3, 2], "relu", generator=seeded(), init=0.0))[0].weight == 0).all()

    def ones(weight, generator):
        weight.fill_(1.0)

    assert (linears(mlp([3, 2], "relu", generator=seeded(), init=ones))[0].weight == 1).all()


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("residual", [False, True])
def test_norm_stands_on_its_side_of_the_activation(norm, kind, position, residual):
    net = mlp(
        [3, 4, 4, 2],
        "relu",
        generator=seeded(),
        norm=norm,
        norm_position=position,
        residual=residual,
    )
    order = [type(m) for m in net.modules() if isinstance(m, kind | Elementwise | nn.Linear)]
    pair = [kind, Elementwise] if position == "before" else [Elementwise, kind]
    assert order == [nn.Linear, *pair, nn.Linear, *pair, nn.Linear]
    assert net(torch.randn(5, 3, generator=seeded())).isfinite().all()


@pytest.mark.parametrize("init", [*INITIALIZATIONS, 0.1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_global_generator(init, dtype):
    before = torch.get_rng_state()
    net = mlp([4, 3, 2], "relu", generator=seeded(), init=init, norm="batch", dtype=dtype)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.dtype == dtype and p.requires_grad for p in net.parameters())
    again = mlp([4, 3, 2], "relu", generator=seeded(), init=init, norm="batch", dtype=dtype)
    for p, q in zip(net.parameters(), again.parameters(), strict=True):
        assert p.isfinite().all()
        assert torch.equal(p, q)


def test_a_network_is_built_without_torch_s_compiler():
    script = (
        "import sys, torch; from d2lstab.specimens.networks import mlp; "
        "mlp([4, 3, 2], 'relu', generator=torch.Generator(), norm='batch'); "
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_function_as_activation():
    net = mlp([2, 2, 2], lambda x: x**2, generator=seeded())
    assert [name for name, _ in net.named_children()] == ["linear1", "phi1", "linear2"]
    net = mlp([2, 2, 2], torch.sin, generator=seeded())
    assert "sin1" in dict(net.named_children())
    assert "sin" in repr(net)


def test_no_two_children_share_a_name():
    def block(x):
        return x

    for phi in ("linear", block, F.layer_norm):
        net = mlp([2, 2, 2, 2, 2], phi, generator=seeded(), norm="layer", residual=True)
        assert len([m for m in net.modules() if isinstance(m, Elementwise)]) == 3
        assert len([m for m in net.modules() if isinstance(m, nn.Linear)]) == 4
        net = mlp([2, 2, 2], phi, generator=seeded(), norm="layer")
        assert len(net) == 4


def test_hooks_see_the_sum_of_a_residual_block():
    net = mlp([3, 4, 4, 4, 2], "relu", generator=seeded(), residual=0.5)
    seen = []
    for name, module in net.named_modules():
        if isinstance(module, Sum):
            module.register_forward_hook(lambda _m, _a, out, name=name: seen.append((name, out)))
    x = torch.ones(2, 3)
    net(x)
    assert [name for name, _ in seen] == ["block2.sum", "block3.sum"]
    assert torch.equal(seen[0][1], net[:2](x))


def test_residual_block_adds_its_branch():
    block = ResidualBlock(nn.Identity(), 0.5)
    assert torch.equal(block(torch.tensor([2.0])), torch.tensor([3.0]))
    assert "0.5" in repr(block)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"widths": [4]}, ValueError),
        ({"widths": []}, ValueError),
        ({"widths": [4, 0, 2]}, ValueError),
        ({"widths": [4, -1]}, ValueError),
        ({"widths": [4, 2.5]}, TypeError),
        ({"widths": [4, True]}, TypeError),
        ({"widths": "44"}, TypeError),
        ({"widths": 4}, TypeError),
        ({"phi": "rely"}, ValueError),
        ({"phi": 3}, TypeError),
        ({"generator": 0}, TypeError),
        ({"generator": None}, TypeError),
        ({"init": "kaiming"}, ValueError),
        ({"init": -0.1}, ValueError),
        ({"init": math.nan}, ValueError),
        ({"init": True}, TypeError),
        ({"init": None}, TypeError),
        ({"gain": math.nan, "init": "xavier_normal"}, ValueError),
        ({"gain": 0.0, "init": "xavier_normal"}, ValueError),
        ({"gain": 2.0}, ValueError),
        ({"gain": 2.0, "init": 0.1}, ValueError),
        ({"bias": 1}, TypeError),
        ({"norm": "group"}, ValueError),
        ({"norm": True}, TypeError),
        ({"norm_position": "inside"}, ValueError),
        ({"residual": 0.0}, ValueError),
        ({"residual": math.nan}, ValueError),
        ({"residual": "yes"}, TypeError),
        ({"residual": True, "widths": [4, 3, 2]}, ValueError),
        ({"residual": True, "widths": [4, 3, 5, 2]}, ValueError),
        ({"dtype": torch.int64}, ValueError),
        ({"dtype": "float32"}, TypeError),
    ],
)
def test_bad_input_is_told_what_to_do(change, error):
    arguments = {"widths": [4, 3, 3, 2], "phi": "relu", "generator": seeded(), **change}
    with pytest.raises(error, match=r"must .* got .*"):
        mlp(arguments.pop("widths"), arguments.pop("phi"), **arguments)
