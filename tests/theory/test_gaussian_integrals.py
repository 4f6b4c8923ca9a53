import math

import numpy as np
import pytest
import torch
from scipy import integrate as scipy_integrate

from d2lstab.theory.gaussian_integrals import breakpoints, integrate, root_density, value_and_slope


@pytest.mark.parametrize("std", [1e-3, 1.0, 1e3])
def test_breakpoints_hold_the_kinks(std):
    ends = breakpoints(std, kinks=(0.5, -2.0))
    assert (np.diff(ends) > 0).all()
    assert ends[0] == -38.0
    assert ends[-1] == 38.0
    for kink in (0.0, 0.5, -2.0):
        assert (kink / std in ends) == (abs(kink / std) <= 38)


def test_integrals_of_several_functions():
    ends = np.array([-3.0, 0.0, 1.0, 5.0])
    found = integrate(lambda x: np.stack([x**6, np.abs(x - 0.3), np.sqrt(np.abs(x))]), ends)
    wanted = [
        (5**7 + 3**7) / 7,
        (3.3**2 + 4.7**2) / 2,
        scipy_integrate.quad(lambda x: math.sqrt(abs(x)), -3, 5, points=[0.0])[0],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    density = integrate(lambda z: root_density(z)[None] ** 2, breakpoints(1.0))
    assert density[0] == pytest.approx(1, rel=1e-14)


def test_values_that_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        integrate(lambda x: np.full((1, len(x)), np.nan), np.array([0.0, 1.0]))
    noise = np.random.default_rng(0)
    with pytest.raises(ValueError, match="piecewise smooth"):
        integrate(lambda x: noise.random((1, len(x))), np.array([0.0, 1.0]))


def test_values_and_slopes_keep_the_shape():
    x = np.linspace(-1, 1, 6).reshape(2, 3)
    value, slope = value_and_slope("softplus", x)
    np.testing.assert_allclose(value, np.logaddexp(0, x), rtol=1e-14)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-x)), rtol=1e-14)


def test_another_error_of_phi_comes_through():
    def phi(x):
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        value_and_slope(phi, np.zeros(2))


def test_values_that_are_not_finite_may_still_be_element_wise():
    value, _ = value_and_slope(torch.log, np.array([-1.0, 0.0, 1.0, -2.0]))
    np.testing.assert_array_equal(value, [np.nan, -np.inf, 0.0, np.nan])
