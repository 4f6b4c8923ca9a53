import math

import pytest
import torch
from torch import nn

from d2lstab.specimens.cells import cell_path


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def jacobian(path, state):
    return torch.autograd.functional.jacobian(path, state)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0, 5.0])
def test_a_path_without_recurrence_decays_as_a_power_of_its_gate(kind, bias):
    inputs = torch.zeros(50, 3, dtype=torch.float64)
    path = cell_path(kind, 4, inputs, generator=seeded(), gate_bias=bias, recurrent=False)
    gate = 1 / (1 + math.exp(-bias))
    expected = torch.eye(4, dtype=torch.float64) * gate**50
    torch.testing.assert_close(jacobian(path, normal(4)), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_path_without_recurrence_is_the_product_of_its_gates(kind):
    inputs = normal(6, 3)
    path = cell_path(kind, 4, inputs, generator=seeded(), gate_bias=0.5, recurrent=False)
    weight = path.cell.weight_ih.detach()[4:8]
    gates = torch.sigmoid(inputs @ weight.T + 0.5)
    expected = torch.diag(gates.prod(0))
    torch.testing.assert_close(jacobian(path, normal(4)), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_unrolled_cell_is_the_layer_of_torch(kind):
    inputs = normal(5, 3)
    path = cell_path(kind, 4, inputs, generator=seeded(), gate_bias=1.0)
    layer = (nn.LSTM if kind == "lstm" else nn.GRU)(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for ours, theirs in zip(path.cell.parameters(), layer.parameters(), strict=True):
            theirs.copy_(ours)
    state = normal(2, 4)
    first = state.unsqueeze(0)
    sequence = inputs.unsqueeze(1).expand(-1, 2, -1)
    if kind == "lstm":
        last = layer(sequence, (torch.zeros_like(first), first))[1][1][0]
    else:
        last = layer(sequence, first)[1][0]
    torch.testing.assert_close(path(state), last, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(path(state[0]), path(state)[0], rtol=1e-13, atol=1e-14)
    off_diagonal = jacobian(path, state[0]) * (1 - torch.eye(4, dtype=torch.float64))
    assert off_diagonal.abs().max() > 1e-6


def test_weights_biases_and_generators():
    before = torch.get_rng_state()
    path = cell_path("gru", 100, torch.zeros(1, 100), generator=seeded(), gate_bias=2.0)
    assert torch.equal(torch.get_rng_state(), before)
    for weight in (path.cell.weight_ih, path.cell.weight_hh):
        w = weight.detach().double()
        assert w.abs().max() <= 0.1
        # U(-k, k) has variance k^2 / 3; its mean square has relative sd sqrt(0.8 / N)
        assert abs(float(w.square().mean()) * 300 - 1) < 5 * math.sqrt(0.8 / w.numel())
    assert path.cell.bias_ih[100:200].eq(2).all()
    assert path.cell.bias_ih.sum() == 200
    assert path.cell.bias_hh.eq(0).all()
    again = cell_path("gru", 100, torch.zeros(1, 100), generator=seeded(), gate_bias=2.0)
    assert torch.equal(path.cell.weight_hh, again.cell.weight_hh)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "rnn"}, ValueError),
        ({"kind": 1}, TypeError),
        ({"hidden_size": 0}, ValueError),
        ({"hidden_size": 2.0}, TypeError),
        ({"inputs": torch.zeros(0, 3)}, ValueError),
        ({"inputs": torch.zeros(3)}, ValueError),
        ({"inputs": torch.full((2, 3), math.nan)}, ValueError),
        ({"inputs": torch.zeros(2, 3, dtype=torch.int64)}, TypeError),
        ({"inputs": 3}, TypeError),
        ({"generator": 0}, TypeError),
        ({"gate_bias": math.nan}, ValueError),
        ({"gate_bias": math.inf}, ValueError),
        ({"gate_bias": "1"}, TypeError),
        ({"recurrent": 1}, TypeError),
    ],
)
def test_bad_input_is_told_what_to_do(change, error):
    arguments = {
        "kind": "lstm", "hidden_size": 4, "inputs": torch.zeros(2, 3), "generator": seeded(),
    } | change  # fmt: skip
    with pytest.raises(error, match=r"must .* got .*"):
        cell_path(**arguments)
