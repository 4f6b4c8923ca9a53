import math

import pytest
import torch

from d2lstab.measure.batch_norm_growth import log_gradient_growths
from d2lstab.theory.batch_norm import gradient_growth, input_gradient


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_an_activation_it_meets_the_law_when_extrapolated_to_wide_layers():
    # Widths 64 and 128, bias of order 1/n: twice the finer minus the coarser removes it; the
    # bound is 4 standard errors over the networks plus the step of the extrapolation.
    coarse, fine = (
        log_gradient_growths(n, 8, k, phi="linear", generator=random(n))
        for n, k in ((64, 96), (128, 48))
    )
    error = math.hypot(2 * fine.std() / 48**0.5, coarse.std() / 96**0.5)
    found, law = 2 * fine.mean() - coarse.mean(), math.log(gradient_growth(8, "linear"))
    step = float((fine.mean() - coarse.mean()).abs())
    assert abs(found - law) <= 4 * error + step
    assert 4 * error + step < law / 2  # the bound can tell growth from none


@pytest.mark.parametrize("phi", ["relu", "linear"])
def test_it_is_the_backward_pass_in_closed_form(phi):
    # The same draws, layer by layer, one network at a time; two layers, one at either end
    # left out of four; in float64 from the float32 draws, whose round-off is the bound.
    found = log_gradient_growths(6, 5, 3, phi=phi, generator=random(), depth=4, margin=1)
    draws = random()
    x, layers = torch.randn(3, 6, 5, generator=draws).double(), []
    for _ in range(4):
        std = x.std(dim=2, keepdim=True, unbiased=False)
        z = (x - x.mean(dim=2, keepdim=True)) / std
        W = torch.randn(3, 6, 6, generator=draws).double() / 6**0.5
        layers.append((W, z, std))
        x = W @ (z.relu() if phi == "relu" else z)
    u, squares = torch.randn(3, 6, 5, generator=draws).double(), []
    for W, z, std in reversed(layers):
        arriving = (W.mT @ u) * (z > 0 if phi == "relu" else 1)
        columns = zip(z.flatten(0, 1), arriving.flatten(0, 1), std.flatten(), strict=True)
        rows = [torch.from_numpy(input_gradient(a, b, float(c))) for a, b, c in columns]
        u = torch.stack(rows).reshape(3, 6, 5)
        squares.append(u.square().sum(dim=(1, 2)))
    by_hand = (squares[2] / squares[1]).log()  # the second layer over the third: one step
    torch.testing.assert_close(found, by_hand, rtol=0, atol=1e-3)


def test_relu_grows_faster_in_small_batches_and_always():
    small, large = (log_gradient_growths(64, B, 16, generator=random()) for B in (6, 48))
    assert small.mean() > large.mean() + 0.1 > 0.3


def test_a_batch_of_two_passes_nothing_and_is_refused():
    with pytest.raises(ValueError, match="batch_size must be"):
        log_gradient_growths(8, 2, 1, generator=random())


@pytest.mark.parametrize(
    "bad", [{"width": 0}, {"networks": 0}, {"depth": 9}, {"margin": -1}, {"phi": "swoosh"}]
)
def test_bad_sizes_are_refused(bad):
    arguments = {"width": 8, "batch_size": 4, "networks": 1, "depth": 10} | bad
    with pytest.raises(ValueError, match="must be"):
        log_gradient_growths(**arguments, generator=random())


def test_the_generator_alone_decides():
    before = torch.random.get_rng_state()
    a, b = (log_gradient_growths(8, 4, 2, generator=random(3), depth=10) for _ in range(2))
    assert torch.equal(a, b)
    assert a.dtype == torch.float64
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(TypeError, match="generator must be"):
        log_gradient_growths(8, 4, 2, generator=0)
