import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from d2lstab.measure.wide_networks import wide_networks


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def expectation(f):
    return quad(lambda z: f(z) * norm.pdf(z), -12, 12, epsabs=1e-12, epsrel=1e-12)[0]


def run(phi="tanh", sw2=1.5, sb2=0.1, **options):
    sizes = {"width": 50, "depth": 6, "trials": 4, "generator": seeded()} | options
    return wide_networks(phi, sw2, sb2, **sizes)


def explicit(phi, sw2, sb2, *, width, depth, trials, length, correlation, generator):
    """The same with every matrix written out."""
    z = torch.randn(trials, width, 3, generator=generator, dtype=torch.float64)
    other = correlation * z[..., 0] + math.sqrt(1 - correlation**2) * z[..., 1]
    z = torch.stack([z[..., 0] * length**0.5, other * length**0.5, z[..., 2]], -1)
    lengths, cosines, factors = [], [], []
    for _ in range(depth):
        a, b, t = z.unbind(-1)
        lengths.append(a.square().mean(1))
        cosines.append((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)))
        factors.append(t.square().mean(1))
        slope = torch.func.vmap(torch.func.vmap(torch.func.grad(phi)))(a)
        h = torch.stack([phi(a), phi(b), slope * t / factors[-1].sqrt()[:, None]], -1)
        weights = torch.randn(trials, width, width, generator=generator, dtype=torch.float64)
        bias = torch.randn(trials, width, 1, generator=generator, dtype=torch.float64)
        no_bias_for_t = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        z = (sw2 / width) ** 0.5 * weights @ h + sb2**0.5 * bias * no_bias_for_t
    return torch.stack(lengths, 1), torch.stack(cosines, 1), torch.stack(factors, 1)[:, 1:]


@pytest.mark.parametrize("sb2", [0.0, 0.4])
def test_it_is_distributed_as_networks_with_full_matrices(sb2):
    # narrow, so that not only the means but the finite-width scatter has to agree
    sizes = {"width": 6, "depth": 4, "trials": 4000, "length": 2.0, "correlation": 0.6}
    found = wide_networks("tanh", 1.8, sb2, **sizes, generator=seeded(1))
    other = explicit(torch.tanh, 1.8, sb2, **sizes, generator=seeded(2))
    for ours, theirs in zip((found.lengths, found.correlations, found.factors), other, strict=True):
        assert ours.shape == theirs.shape
        for power in (1, 2):
            x, y = ours**power, theirs**power
            error = ((x.var(0) + y.var(0)) / len(x)).sqrt()
            # 22 to 24 comparisons: 4.5 standard errors are exceeded with chance 2e-4
            assert bool(((x.mean(0) - y.mean(0)).abs() <= 4.5 * error).all())
    # the length and the factor of one layer belong to the same network
    joint = [(q[:, 1:] * f).mean(0) for q, f in ((found.lengths, found.factors), other[::2])]
    assert torch.allclose(joint[0], joint[1], rtol=0.15)


def test_wide_layers_follow_the_gaussian_integrals():
    width, trials = 20_000, 10
    found = run(width=width, trials=trials, depth=2, length=0.7, correlation=0.5)
    q = 0.7
    second = expectation(lambda z: math.tanh(math.sqrt(q) * z) ** 2)
    slopes = expectation(lambda z: math.cosh(math.sqrt(q) * z) ** -4)
    # sd of a mean square of `width` normals is sqrt(2 / width); the layer below adds as much
    bound = 4.5 * math.sqrt(4 / (width * trials))
    assert float(found.lengths[:, 0].mean()) == pytest.approx(q, rel=bound)
    assert float(found.lengths[:, 1].mean()) == pytest.approx(1.5 * second + 0.1, rel=bound)
    # (3 E s^4 / (E s^2)^2 - 1) / width is the variance of a factor; s <= 1 bounds it
    bound = 4.5 * math.sqrt(3 / (slopes * width * trials))
    assert float(found.factors.mean()) == pytest.approx(1.5 * slopes, rel=bound)
    assert float(found.correlations[:, 0].mean()) == pytest.approx(0.5, abs=bound)


def test_linear_networks_keep_the_correlation_and_relu_halves_the_length():
    wide = {"width": 20_000, "trials": 8, "depth": 3, "correlation": -0.4}
    straight = wide_networks("linear", 4.0, **wide, generator=seeded())
    bound = 4.5 * math.sqrt(2 * 3 / (20_000 * 8))
    assert torch.allclose(straight.lengths.mean(0), torch.tensor([1.0, 4, 16]).double(), rtol=bound)
    assert torch.allclose(straight.correlations.mean(0), torch.tensor(-0.4).double(), atol=bound)
    half = wide_networks("relu", 1.0, **wide, generator=seeded())
    bound = 4.5 * math.sqrt(5 * 3 / (20_000 * 8))
    assert torch.allclose(half.lengths.mean(0), torch.tensor([1, 0.5, 0.25]).double(), rtol=bound)


@pytest.mark.parametrize("correlation", [1.0, -1.0])
def test_equal_inputs_stay_equal_and_opposite_ones_opposite_under_an_odd_phi(correlation):
    found = run(sb2=0.0, depth=50, correlation=correlation, length=2.0)
    assert torch.allclose(found.correlations, torch.tensor(correlation).double(), atol=1e-12)


def test_a_function_is_as_good_as_its_name_and_reruns_are_equal():
    one, two = run(), run(torch.tanh)
    assert torch.equal(one.lengths, two.lengths)
    assert torch.equal(one.factors, two.factors)
    assert one.width == 50
    assert one.lengths.dtype == torch.float64
    assert run(depth=1).factors.shape == (4, 0)


def test_signals_that_vanish_are_data():
    found = run("relu", 0.0, 0.0, depth=3)
    assert found.lengths[:, 1:].count_nonzero() == 0


def test_it_runs_under_no_grad():
    with torch.no_grad():
        assert run().factors.requires_grad is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sw2": -1.0}, "sw2"),
        ({"sw2": math.nan}, "sw2"),
        ({"sw2": "2"}, "sw2"),
        ({"sb2": math.inf}, "sb2"),
        ({"width": 0}, "width"),
        ({"width": 1.5}, "width"),
        ({"depth": True}, "depth"),
        ({"trials": -3}, "trials"),
        ({"length": 0.0}, "length"),
        ({"length": math.nan}, "length"),
        ({"correlation": 1.1}, "correlation"),
        ({"correlation": math.nan}, "correlation"),
        ({"generator": 0}, "generator"),
        ({"phi": "tahn"}, "phi"),
        ({"phi": 3}, "phi"),
    ],
)
def test_bad_input_is_refused_by_name(wrong, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message} must be"):
        run(**wrong)
