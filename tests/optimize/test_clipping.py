"""Clipping: torch's formula without its side effects."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from d2lstab.optimize.clipping import clip_by_norm, clip_by_value


def gradients(scale=1.0):
    random = torch.Generator().manual_seed(0)
    shapes = {"weight": (5, 3), "bias": (5,), "scalar": ()}
    return {
        name: scale * torch.randn(shape, generator=random, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def in_parameters(grads):
    parameters = []
    for g in grads.values():
        p = nn.Parameter(torch.zeros_like(g))
        p.grad = g.clone()
        parameters.append(p)
    return parameters


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e3, 1e150])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 2.0, 100.0])
def test_by_norm_equals_torch(scale, max_norm):
    grads = gradients(scale)
    parameters = in_parameters(grads)
    norm = nn.utils.clip_grad_norm_(parameters, max_norm)
    clipped = clip_by_norm(grads, max_norm)
    torch.testing.assert_close(clipped.norm, norm, rtol=1e-15, atol=0)
    for g, p in zip(clipped.grads.values(), parameters, strict=True):
        torch.testing.assert_close(g, p.grad, rtol=1e-14, atol=0)


def test_by_norm_keeps_the_direction_and_reaches_the_norm():
    flat = torch.cat([g.flatten() for g in gradients(100.0).values()])
    clipped, norm = clip_by_norm(flat, 1.0)
    assert norm.item() == pytest.approx(flat.norm().item(), rel=1e-14)
    assert clipped.norm().item() == pytest.approx(1 / (1 + 1e-6 / norm.item()), rel=1e-12)
    assert torch.dot(clipped, flat).item() == pytest.approx(
        (clipped.norm() * flat.norm()).item(), rel=1e-14
    )


@pytest.mark.parametrize("clip_value", [0.0, 0.3, 10.0])
def test_by_value_equals_torch_and_turns_the_direction(clip_value):
    grads = gradients()
    parameters = in_parameters(grads)
    nn.utils.clip_grad_value_(parameters, clip_value)
    for g, p in zip(clip_by_value(grads, clip_value).values(), parameters, strict=True):
        assert torch.equal(g, p.grad)
    # (3, 4) cut off at 3 is (3, 3): cos = 21 / (5 sqrt(18))
    turned = clip_by_value(torch.tensor([3.0, 4.0], dtype=torch.float64), 3.0)
    cosine = torch.dot(turned, torch.tensor([3.0, 4.0]).double()) / (5 * turned.norm())
    assert cosine.item() == pytest.approx(21 / (5 * math.sqrt(18)), rel=1e-14)


def test_structures_come_back_and_nothing_is_changed():
    g = torch.tensor([3.0, 4.0])
    for grads in (g, [g], (g, g), {"a": g}):
        assert type(clip_by_norm(grads, 1.0).grads) is type(grads)
        assert type(clip_by_value(grads, 1.0)) is type(grads)
    assert g.tolist() == [3, 4]


def test_bad_gradients_are_data():
    clipped, norm = clip_by_norm(torch.tensor([math.nan, 1.0]), 1.0)
    assert norm.isnan()
    assert clipped.isnan().all()
    assert clip_by_norm(torch.tensor([math.inf, 1.0]), 1.0).norm == math.inf


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
@pytest.mark.parametrize(
    ("grads", "limit", "error"),
    [
        (torch.ones(2), -1.0, ValueError),
        (torch.ones(2), math.nan, ValueError),
        (torch.ones(2), "1", TypeError),
        (torch.ones(2), True, TypeError),
        (torch.ones(2, dtype=torch.int64), 1.0, TypeError),
        ([1.0], 1.0, TypeError),
        ("g", 1.0, TypeError),
        ([], 1.0, ValueError),
        ({}, 1.0, ValueError),
        ([None], 1.0, TypeError),
    ],
)
def test_bad_arguments(clip, grads, limit, error):
    with pytest.raises(error, match="must"):
        clip(grads, limit)


class Pair(NamedTuple):
    weight: torch.Tensor
    bias: torch.Tensor


def test_a_namedtuple_comes_back_as_one():
    pair = Pair(torch.tensor([3.0]), torch.tensor([4.0]))
    assert clip_by_norm(pair, 100.0).grads == pair
    assert clip_by_value(pair, 3.5) == Pair(torch.tensor([3.0]), torch.tensor([3.5]))
    assert isinstance(clip_by_value(pair, 3.5), Pair)
