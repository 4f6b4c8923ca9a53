import pytest
import torch
from torch import nn

from d2lstab.specimens.residual_networks import batch_norm_resnet, post_norm_network

MAKERS = [post_norm_network, batch_norm_resnet]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("make", MAKERS)
def test_equal_seeds_give_equal_networks_and_the_global_numbers_are_untouched(make):
    before = torch.random.get_rng_state()
    a, b, c = (make(5, 7, 3, 2, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    x = torch.randn(6, 5, generator=seeded())
    assert torch.equal(a(x), b(x))
    assert not torch.equal(a(x), c(x))
    assert a(x).shape == (6, 2)


def test_the_sum_is_normalized_after_each_block():
    net = post_norm_network(5, 64, 4, 2, generator=seeded())
    x = torch.randn(6, 5, generator=seeded())
    h = net[0](x)
    for block in list(net)[1:-1]:
        summed = h + block.branch[2](torch.relu(block.branch[0](h)))
        h = block(h)
        torch.testing.assert_close(h, nn.functional.layer_norm(summed, (64,)))
        torch.testing.assert_close(h.mean(1), torch.zeros(6), atol=1e-5, rtol=0)


def test_the_block_of_the_resnet_is_relu_of_a_sum():
    net = batch_norm_resnet(5, 8, 2, 2, generator=seeded())
    h = net[0](torch.randn(16, 5, generator=seeded()))
    b = net[1].branch
    z = nn.functional.batch_norm(b[0](h), None, None, training=True)
    z = nn.functional.batch_norm(b[3](torch.relu(z)), None, None, training=True)
    torch.testing.assert_close(net[1](h), torch.relu(h + z))


def test_weights_have_the_named_variances():
    net = post_norm_network(300, 400, 1, 200, generator=seeded())
    for layer, variance in ((net[0], 2 / 700), (net[1].branch[0], 2 / 400), (net[2], 2 / 600)):
        count = layer.weight.numel()
        spread = (2 / count) ** 0.5  # relative standard deviation of a sample variance
        measured = float(layer.weight.detach().var())
        assert measured / variance == pytest.approx(1, abs=5 * spread)
        assert not bool(layer.bias.detach().any())


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("sizes", [(0, 4, 2, 2), (4, -1, 2, 2), (4, 4, 0, 2), (4, 4, 2, 0)])
def test_a_size_below_one_is_refused(make, sizes):
    with pytest.raises(ValueError, match="must be a positive integer"):
        make(*sizes, generator=seeded())


@pytest.mark.parametrize("make", MAKERS)
def test_wrong_types_are_refused(make):
    with pytest.raises(TypeError, match="must be a positive integer"):
        make(4, 4.0, 2, 2, generator=seeded())
    with pytest.raises(TypeError, match="generator must be"):
        make(4, 4, 2, 2, generator=0)
