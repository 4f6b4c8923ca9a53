import numpy as np
import pytest

from d2lstab.elementwise import ACTIVATIONS
from d2lstab.theory.power_series import SERIES, product, quotient


def test_every_named_activation_has_a_series():
    assert set(SERIES) == set(ACTIVATIONS)
    for name, series in SERIES.items():
        for order in (0, 1, 4):
            assert series(0.3, order).shape == (order + 1,), name


@pytest.mark.parametrize("order", [0, 1, 6])
def test_products_and_quotients_undo_each_other(order):
    generator = np.random.default_rng(order)
    a, b = generator.normal(size=(2, order + 1))
    b[0] = 2.0
    np.testing.assert_allclose(quotient(product(a, b), b), a, atol=1e-12)


@pytest.mark.parametrize("at", [-30.0, 30.0, -800.0, 800.0])
def test_far_from_the_origin(at):
    for name, series in SERIES.items():
        assert np.isfinite(series(at, 9)).all(), name
