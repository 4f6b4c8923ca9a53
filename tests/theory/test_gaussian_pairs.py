"""The three ways against closed forms and against each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.theory import gaussian_pairs
from d2lstab.theory.gaussian_pairs import gaussian_pair, homogeneous_pair

GAPS = [1e-9, 1e-3, 0.3, 1.0, 1.6, 2.0]


def hermite_rule(phi, q, c, points=160):
    """Gauss-Hermite in two independent variables: for smooth phi at moderate q."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    w = w / math.sqrt(2 * math.pi)
    first = phi(torch.tensor(math.sqrt(q) * z))
    mixed = c * z[:, None] + math.sqrt(1 - c * c) * z
    second = phi(torch.tensor(math.sqrt(q) * mixed))
    return float(w @ (first[:, None] * second).numpy() @ w)


@given(st.floats(-0.99, 0.99), st.floats(0.05, 1.5), st.sampled_from(["tanh", "gelu", "sigmoid"]))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_smooth_activations_against_gauss_hermite(c, q, name):
    phi = {"tanh": torch.tanh, "gelu": torch.nn.functional.gelu, "sigmoid": torch.sigmoid}[name]
    wanted = hermite_rule(phi, q, 1.0) - hermite_rule(phi, q, c)
    assert gaussian_pair(name, q).difference(1 - c) == pytest.approx(wanted, abs=1e-8 * q)


@pytest.mark.parametrize("q", [1e-6, 1.0, 100.0, 1e4])
def test_erf_in_closed_form(q):  # Williams (1998); at large q by quadrature
    pair = gaussian_pair(torch.erf, q)
    for gap in GAPS:
        top, c = 2 * q / (1 + 2 * q), 1 - gap
        wanted = 2 / math.pi * (math.asin(top) - math.asin(top * c))
        assert pair.difference(gap) == pytest.approx(wanted, rel=1e-9, abs=1e-13)
        wanted = 4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)
        assert pair.slopes(gap) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("slopes", [(1.0, 0.0), (1.0, 0.01), (2.0, -1.0), (1.0, 1.0)])
def test_homogeneous_functions_against_quadrature(slopes):
    above, below = slopes
    closed = homogeneous_pair(above, below, 2.5)
    numeric = gaussian_pairs._quadrature(
        lambda x: torch.where(x > 0, above * x, below * x), 2.5, (0.0,)
    )
    for gap in GAPS:
        assert closed.difference(gap) == pytest.approx(numeric.difference(gap), rel=1e-7, abs=1e-14)
        assert closed.slopes(gap) == pytest.approx(numeric.slopes(gap), abs=1e-10)


def test_relu_against_cho_and_saul():
    pair = gaussian_pair("relu", 1.0)
    for c in np.linspace(-1, 1, 9):
        theta = math.acos(c)
        kernel = (math.sin(theta) + (math.pi - theta) * c) / (2 * math.pi)
        assert 0.5 - pair.difference(1 - c) == pytest.approx(kernel, abs=1e-15)
        assert pair.slopes(1 - c) == pytest.approx((math.pi - theta) / (2 * math.pi), abs=1e-15)


@pytest.mark.parametrize(("phi", "q"), [("tanh", 1.0), ("silu", 3.0), ("softplus", 0.5)])
def test_series_against_quadrature(phi, q):
    series, numeric = gaussian_pairs._hermite(phi, q, ()), gaussian_pairs._quadrature(phi, q, ())
    assert series is not None
    for gap in GAPS:
        assert series.difference(gap) == pytest.approx(numeric.difference(gap), rel=1e-8)
        assert series.slopes(gap) == pytest.approx(numeric.slopes(gap), rel=1e-9)


def test_the_series_is_refused_where_it_does_not_converge():
    assert gaussian_pairs._hermite("hardtanh", 1.0, ()) is None
    assert gaussian_pairs._hermite("tanh", 1e3, ()) is None


@pytest.mark.parametrize(("phi", "q"), [("hardtanh", 0.7), ("selu", 2.0), ("softsign", 1.0)])
def test_slopes_are_the_derivative(phi, q):
    pair, step = gaussian_pair(phi, q), 1e-4
    for gap in (0.2, 1.0, 1.7):
        rise = (pair.difference(gap + step) - pair.difference(gap - step)) / (2 * step)
        assert rise == pytest.approx(q * pair.slopes(gap), rel=1e-6)


def test_functions_too_fine_to_resolve_are_refused():
    with pytest.raises(ValueError, match="vary at a scale near 1"):
        gaussian_pair(lambda x: torch.sin(100 * x), 1.0)
