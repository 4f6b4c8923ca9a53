import pytest
import torch
from torch import nn

from d2lstab.measure.leaf_calls import leaf_calls


def names(model, *inputs):
    seen = []
    with leaf_calls(model, lambda call: seen.append(call.name)):
        model(*inputs)
    return seen


def test_calls_are_reported_in_order_and_hooks_go():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    assert names(model, torch.ones(1, 2)) == ["0", "1.0", "1.1"]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_hooks_go_when_the_block_raises():
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="stop"), leaf_calls(model, lambda call: None):
        raise RuntimeError("stop")
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_outputs_keep_their_types_and_values():
    class Pair(nn.Module):
        def forward(self, x):
            return x, [x.view(-1), {"n": 3, "x": x}]

    x = torch.ones(2, 2)
    with leaf_calls(model := Pair(), lambda call: None):
        first, (flat, rest) = model(x)
    assert torch.equal(first, x)
    assert torch.equal(flat, x.view(-1))
    assert rest["n"] == 3
    assert torch.equal(rest["x"], x)


def test_packed_sequences_pass():
    rnn = nn.GRU(2, 3)
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    assert names(rnn.requires_grad_(False), packed) == ["GRU"]
