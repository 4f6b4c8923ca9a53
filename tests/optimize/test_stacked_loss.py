"""Stacked losses are the members' own; the short way for plain chains is the long way's."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from d2lstab.optimize import stacked_loss as subject
from d2lstab.optimize.stacked_loss import stacked_loss
from d2lstab.specimens.networks import Elementwise, mlp

DRAW = torch.Generator().manual_seed(0)
X, Y = torch.randn(7, 4, generator=DRAW, dtype=torch.float64), torch.arange(7) % 3
CE = nn.functional.cross_entropy


def network(**options):
    return mlp([4, 5, 5, 3], "tanh", generator=DRAW, dtype=torch.float64, **options)


def linear(fan_in, fan_out):
    return mlp([fan_in, fan_out], "tanh", generator=DRAW, dtype=torch.float64, init=0.5)[0]


def stack(models):
    named = [dict(model.named_parameters()) for model in models]
    return {
        name: torch.stack([one[name].detach() for one in named]).requires_grad_()
        for name in named[0]
    }


def with_one_activation_twice():
    act = Elementwise("tanh")
    return nn.Sequential(linear(4, 5), act, linear(5, 5), act, linear(5, 3))


def with_one_layer_twice():
    layer = linear(4, 4)
    return nn.Sequential(layer, Elementwise("tanh"), layer, linear(4, 3))


def with_a_hook():
    model = network()
    model[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


CHAINS = [network, lambda: network(bias=False), with_one_activation_twice]
OTHERS = [
    with_one_layer_twice,
    with_a_hook,
    lambda: network(norm="layer"),
    lambda: network(residual=True),
    lambda: nn.Sequential(linear(4, 3), nn.Tanh()),
    lambda: nn.Sequential(nn.Sequential(linear(4, 3))),
]


@pytest.mark.parametrize("members", [3, subject._FEW + 1])
@pytest.mark.parametrize("make", CHAINS + OTHERS)
def test_losses_and_gradients_are_the_members_own(make, members):
    models = [make() for _ in range(members)]
    parameters = stack(models)
    losses, _ = stacked_loss(deepcopy(models[0]), CE)(parameters, {}, X, Y)
    gradients = torch.autograd.grad(losses.sum(), list(parameters.values()))
    for k, model in enumerate(models):
        alone = CE(model(X), Y)
        torch.testing.assert_close(losses[k], alone, rtol=1e-13, atol=1e-14)
        for mine, own in zip(
            gradients, torch.autograd.grad(alone, list(model.parameters())), strict=True
        ):
            torch.testing.assert_close(mine[k], own, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", CHAINS)
def test_plain_chains_go_the_short_way(make):
    assert subject._is_chain(make())


@pytest.mark.parametrize("make", OTHERS)
def test_others_do_not(make):
    assert not subject._is_chain(make())


@pytest.mark.parametrize("members", [2, subject._FEW + 1])
@pytest.mark.parametrize("make", [network, lambda: network(norm="layer")])
@pytest.mark.parametrize("bad", [lambda out, y: out, lambda out, y: 1.0])
def test_a_loss_is_a_scalar(make, bad, members):
    models = [make() for _ in range(members)]
    with pytest.raises(ValueError, match="the loss must be a scalar"):
        stacked_loss(deepcopy(models[0]), bad)(stack(models), {}, X, Y)
