"""Against mpmath's quadrature, scipy's quad, sympy's series and closed forms."""

import math

import mpmath
import numpy as np
import pytest
import sympy
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from d2lstab.theory.activations import (
    ACTIVATIONS,
    gain,
    known_kinks,
    moments,
    taylor_coefficients,
    taylor_polynomial,
)

X = sympy.Symbol("x")
SCALE = sympy.Rational("1.0507009873554804934193349852946")
ALPHA = sympy.Rational("1.6732632423543772848170429916717")
# Written out for sympy and mpmath: above 0, and below 0 where it differs.
SYMBOLIC = {
    "linear": (X, X),
    "sigmoid": (1 / (1 + sympy.exp(-X)),) * 2,
    "scaled_sigmoid": (4 / (1 + sympy.exp(-X)) - 2,) * 2,
    "tanh": (sympy.tanh(X),) * 2,
    "relu": (X, sympy.Integer(0)),
    "leaky_relu": (X, X / 100),
    "elu": (X, sympy.exp(X) - 1),
    "selu": (SCALE * X, SCALE * ALPHA * (sympy.exp(X) - 1)),
    "gelu": (X * (1 + sympy.erf(X / sympy.sqrt(2))) / 2,) * 2,
    "silu": (X / (1 + sympy.exp(-X)),) * 2,
    "mish": (X * sympy.tanh(sympy.log(1 + sympy.exp(X))),) * 2,
    "softplus": (sympy.log(1 + sympy.exp(X)),) * 2,
    "softsign": (X / (1 + X), X / (1 - X)),
}
SMOOTH = ["linear", "sigmoid", "scaled_sigmoid", "tanh", "gelu", "silu", "mish", "softplus"]


def reference_moments(name, variance):
    """mpmath's tanh-sinh rule at 20 digits on panels in x that end at 0 and grow from there."""
    pieces = [
        (sympy.lambdify(X, f, "mpmath"), sympy.lambdify(X, sympy.diff(f, X), "mpmath"))
        for f in SYMBOLIC[name]
    ]
    with mpmath.workdps(20):
        std = mpmath.sqrt(variance)
        ends = sorted(
            {
                mpmath.mpf(0),
                *(t for t in (0.5, 2, 6, 20) if t < 14 * std),
                *(std * t for t in (0.5, 2, 4, 8, 14)),
            }
        )

        def integral(sign, value):
            return mpmath.quad(lambda x: value(sign * x) * mpmath.npdf(x, 0, std), ends)

        total = []
        for value in (
            lambda f, d: f,
            lambda f, d: lambda x: f(x) ** 2,
            lambda f, d: lambda x: d(x) ** 2,
        ):
            total.append(sum(integral(s, value(*p)) for s, p in zip((1, -1), pieces, strict=True)))
        return [float(t) for t in total]


@pytest.mark.parametrize("variance", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", list(SYMBOLIC))
def test_moments_against_mpmath(name, variance):
    mean, second, slope = reference_moments(name, variance)
    found = moments(name, variance)
    assert found.second == pytest.approx(second, rel=1e-11)
    assert found.derivative_second == pytest.approx(slope, rel=1e-11)
    assert found.mean == pytest.approx(mean, rel=1e-11, abs=1e-11 * math.sqrt(second))


@pytest.mark.parametrize("variance", [1e-6, 0.3, 1.0, 20.0, 1e6])
def test_closed_forms(variance):
    std = math.sqrt(variance)
    relu, linear, hard = (moments(name, variance) for name in ("relu", "linear", "hardtanh"))
    assert relu.mean == pytest.approx(std / math.sqrt(2 * math.pi), rel=1e-13)
    assert relu.second == pytest.approx(variance / 2, rel=1e-13)
    assert relu.derivative_second == pytest.approx(0.5, rel=1e-13)
    assert linear.second == pytest.approx(variance, rel=1e-13)
    assert linear.derivative_second == pytest.approx(1, rel=1e-13)
    inside, edge = math.erf(1 / (std * math.sqrt(2))), math.exp(-1 / (2 * variance))
    assert hard.derivative_second == pytest.approx(inside, rel=1e-12)
    wanted = variance * inside - std * edge * math.sqrt(2 / math.pi) + 1 - inside
    assert hard.second == pytest.approx(wanted, rel=1e-10)  # the closed form itself cancels


@given(st.floats(-6, 6), st.sampled_from(["erf", "sine", "shifted", "exponential", "steep"]))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_functions_with_closed_forms(exponent, case):
    v = 10**exponent
    if case == "erf":  # Williams (1998)
        found = moments(torch.erf, v)
        assert found.second == pytest.approx(
            2 / math.pi * math.asin(2 * v / (1 + 2 * v)), rel=1e-11
        )
        wanted = 4 / math.pi / math.sqrt(1 + 4 * v)
        assert found.derivative_second == pytest.approx(wanted, rel=1e-11)
    elif case == "sine":
        v = min(v, 100.0)
        found = moments(lambda x: torch.sin(x), v)
        assert found.second == pytest.approx(-math.expm1(-2 * v) / 2, rel=1e-11)
        assert found.derivative_second == pytest.approx((1 + math.exp(-2 * v)) / 2, rel=1e-11)
    elif case == "shifted":
        found = moments(lambda x: torch.relu(x - 0.5), v, kinks=(0.5,))
        assert found.derivative_second == pytest.approx(
            math.erfc(0.5 / math.sqrt(2 * v)) / 2, rel=1e-10, abs=1e-300
        )
    elif case == "exponential":
        v = min(v, 50.0)
        found = moments(torch.exp, v)
        assert found.mean == pytest.approx(math.exp(v / 2), rel=1e-11)
        assert found.second == pytest.approx(math.exp(2 * v), rel=1e-11)
    else:  # erf(100 x): a scale that no panel was made for
        found = moments(lambda x: torch.erf(100 * x), v)
        w = 1e4 * v
        assert found.second == pytest.approx(
            2 / math.pi * math.asin(2 * w / (1 + 2 * w)), rel=1e-11
        )


@given(st.floats(-4, 3), st.sampled_from(list(ACTIVATIONS)))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_moments_against_scipy(exponent, name):
    std = 10 ** (exponent / 2)
    phi = ACTIVATIONS[name]

    def integrand(z):
        x = torch.tensor(std * z, dtype=torch.float64)
        return float(phi(x)) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    marks = sorted({0.0, *(k / std for k in known_kinks(name)), *(s / std for s in (-4, 4))})
    marks = [m for m in marks if abs(m) < 12]
    second, _ = integrate.quad(
        integrand, -12, 12, points=marks, epsabs=1e-14, epsrel=1e-12, limit=400
    )
    assert moments(name, std**2).second == pytest.approx(second, rel=1e-9)


def test_unnamed_kinks_cost_no_accuracy():
    def bent(x):
        return torch.where(x > 0.3, x - 0.3, torch.zeros_like(x))

    with_it, without = moments(bent, 2.0, kinks=(0.3,)), moments(bent, 2.0)
    assert with_it.second == pytest.approx(without.second, rel=1e-12)
    assert with_it.derivative_second == pytest.approx(without.derivative_second, rel=1e-11)


def test_functions_that_work_in_place_and_modules():
    layer = torch.nn.ReLU(inplace=True)
    assert moments(layer).second == pytest.approx(0.5, rel=1e-12)
    with torch.no_grad():
        assert moments("tanh").derivative_second == pytest.approx(0.46440290244826815, rel=1e-12)
    constant = moments(torch.ones_like)
    assert (constant.mean, constant.derivative_second) == (pytest.approx(1.0), 0.0)


def test_gains():
    for name in ACTIVATIONS:
        found = moments(name)
        assert gain(name) == pytest.approx(found.second**-0.5)
        assert gain(name, "backward") == pytest.approx(found.derivative_second**-0.5)
    for name in ("linear", "relu", "leaky_relu"):
        assert gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
        assert gain(name, "backward") == pytest.approx(gain(name), rel=1e-12)
    assert gain("tanh") == pytest.approx(1.5925374197, abs=1e-9)
    assert gain("selu") == pytest.approx(1, abs=1e-12)  # what SELU was made for
    assert gain("scaled_sigmoid") == pytest.approx(1.200328, abs=5e-7)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("at", [0, sympy.Rational(-13, 10), sympy.Rational(7, 2)])
def test_taylor_against_sympy(name, at):
    order = 9 if at == 0 or name != "mish" else 4  # sympy takes seconds for mish elsewhere
    symbolic = sympy.series(SYMBOLIC[name][0].subs(X, X + at), X, 0, order + 1).removeO()
    wanted = [float(symbolic.coeff(X, k).evalf(30)) for k in range(order + 1)]
    np.testing.assert_allclose(
        taylor_coefficients(name, order, float(at)), wanted, rtol=0, atol=1e-13
    )


@given(st.floats(-20, 20), st.sampled_from(list(SYMBOLIC)))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_taylor_against_mpmath(at, name):
    at = at if abs(at) > 1e-3 else 1.0
    f = sympy.lambdify(X, SYMBOLIC[name][0 if at > 0 else 1], "mpmath")
    with mpmath.workdps(60):
        wanted = [float(c) for c in mpmath.taylor(lambda x: mpmath.mpf(f(x)), mpmath.mpf(at), 9)]
    np.testing.assert_allclose(taylor_coefficients(name, 9, at), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SMOOTH)
def test_functions_are_expanded_like_their_names(name):
    for at in (0.0, 0.7):
        found = taylor_coefficients(lambda x, f=ACTIVATIONS[name]: f(x), 6, at)
        np.testing.assert_allclose(found, taylor_coefficients(name, 6, at), rtol=0, atol=1e-13)


def test_the_series_of_the_notes():
    sigmoid = taylor_coefficients("sigmoid", 5)
    np.testing.assert_allclose(sigmoid, [1 / 2, 1 / 4, 0, -1 / 48, 0, 1 / 480], atol=1e-16)
    np.testing.assert_allclose(
        taylor_coefficients("tanh", 5), [0, 1, 0, -1 / 3, 0, 2 / 15], atol=1e-16
    )
    scaled = taylor_coefficients("scaled_sigmoid", 5)
    np.testing.assert_allclose(scaled, [0, 1, 0, -1 / 12, 0, 1 / 120], atol=1e-16)
    assert taylor_coefficients(lambda x: x**3, 5).tolist() == [0, 0, 0, 1, 0, 0]
    assert taylor_coefficients("tanh", 0).tolist() == [0]


REFUSED = [("relu", 0.0, 1), ("leaky_relu", 0.0, 1), ("selu", 0.0, 1), ("elu", 0.0, 2),
           ("softsign", 0.0, 2), ("hardtanh", 1.0, 1), ("hardtanh", -1.0, 1)]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "first"), REFUSED)
@pytest.mark.parametrize("as_function", [False, True])
def test_one_sided_derivatives_are_refused(name, at, first, as_function):
    phi = ACTIVATIONS[name] if as_function else name
    for order in (first, first + 1, 6):
        with pytest.raises(ValueError, match=f"derivative {first} differs on its two sides"):
            taylor_coefficients(phi, order, at)
    for order in range(first):
        if first == 1:
            with pytest.raises(ValueError, match="derivative 1"):
                taylor_coefficients(phi, order, at)
        else:
            assert taylor_coefficients(phi, order, at).tolist() == [0.0, 1.0][: order + 1]
    assert len(taylor_coefficients(phi, 4, at + 0.5)) == 5


def test_other_functions_with_kinks_are_refused():
    for phi, at, first in (
        (torch.abs, 0.0, 1),
        (lambda x: x * x.abs(), 0.0, 2),
        (lambda x: x.abs() ** 3, 0.0, 3),
        (lambda x: torch.relu(x - 2), 2.0, 1),
        (lambda x: x.abs().sqrt(), 0.0, 1),
    ):
        assert len(taylor_coefficients(phi, first, at + 0.1)) == first + 1
        with pytest.raises(ValueError, match="expand at another point"):
            taylor_coefficients(phi, first, at)
    assert taylor_coefficients(lambda x: x * x.abs(), 1).tolist() == [0, 0]


def test_polynomials():
    c = [1.0, -2.0, 0.5, 3.0]
    x = np.linspace(-2, 2, 7)
    wanted = np.polynomial.polynomial.polyval(x - 0.3, c)
    np.testing.assert_allclose(taylor_polynomial(c, x, at=0.3), wanted, rtol=1e-13)
    assert torch.is_tensor(taylor_polynomial(c, torch.tensor(x)))
    value = taylor_polynomial(c, 2)
    assert isinstance(value, float)
    assert value == 1 - 4 + 2 + 24
    near = taylor_polynomial(taylor_coefficients("mish", 9), 0.1)
    assert near == pytest.approx(float(F.mish(torch.tensor(0.1, dtype=torch.float64))), abs=1e-11)


@pytest.mark.parametrize("variance", [0.0, -1.0, math.nan, math.inf])
def test_variances_that_are_refused(variance):
    with pytest.raises(ValueError, match="variance must be a positive number"):
        moments("relu", variance)


def test_functions_that_are_refused():
    with pytest.raises(ValueError, match="phi must be one of"):
        moments("swish2")
    with pytest.raises(TypeError, match="phi must be a name"):
        gain(None)
    with pytest.raises(TypeError, match="element-wise"):
        moments(lambda x: x.sum())
    with pytest.raises(TypeError, match="element-wise"):
        moments(lambda x: 1.0)
    with pytest.raises(TypeError, match="differentiable by torch"):
        moments(lambda x: x.detach() ** 2)
    with pytest.raises(ValueError, match="finite moments"):
        moments(torch.log)
    with pytest.raises(ValueError, match="finite moments"):
        moments(torch.exp, 1e6)
    with pytest.raises(ValueError, match="must not vanish"):
        gain(torch.zeros_like)
    with pytest.raises(ValueError, match="must not vanish"):
        gain(torch.ones_like, "backward")


def test_other_bad_input():
    with pytest.raises(ValueError, match="direction must be one of forward, backward"):
        gain("relu", "sideways")
    with pytest.raises(TypeError, match="kinks must be a sequence"):
        moments("relu", kinks=0.0)
    with pytest.raises(ValueError, match="kinks must be a finite number"):
        moments("relu", kinks=(math.nan,))
    for order in (-1, 1.5, True, "2"):
        with pytest.raises((TypeError, ValueError), match="order must be"):
            taylor_coefficients("tanh", order)
    with pytest.raises(ValueError, match="at must be a finite number"):
        taylor_coefficients("tanh", 2, at=math.nan)
    with pytest.raises(ValueError, match="coefficients must be at least one"):
        taylor_polynomial([], 1.0)
    with pytest.raises(TypeError, match="coefficients must be a sequence"):
        taylor_polynomial(3.0, 1.0)
    with pytest.raises(TypeError, match="x must be"):
        taylor_polynomial([1.0], "x")
    for scalar in (torch.tensor(2), np.array(2.0)):
        with pytest.raises(TypeError, match="kinks must be a sequence"):
            moments("tanh", kinks=scalar)
        with pytest.raises(TypeError, match="coefficients must be a sequence"):
            taylor_polynomial(scalar, 1.0)
    with pytest.raises(ValueError, match="variance must be a positive number, got int 1000"):
        moments("tanh", 10**400)


@pytest.mark.parametrize(
    "phi",
    [
        lambda x: torch.tanh(x.detach()),
        lambda x: torch.from_numpy(np.tanh(x.detach().numpy())),
        lambda x: np.tanh(x.numpy()),
    ],
    ids=["detached", "through_numpy", "numpy"],
)
@pytest.mark.parametrize("at", [0.0, 0.7])
def test_what_torch_cannot_differentiate_has_no_series(phi, at):
    with pytest.raises(TypeError, match="phi must be differentiable by torch"):
        taylor_coefficients(phi, 3, at)
    with pytest.raises(TypeError, match="phi must be differentiable by torch"):
        moments(phi)


@pytest.mark.parametrize(
    "phi",
    [
        lambda x: torch.softmax(x, -1),
        lambda x: x - x.mean(),
        lambda x: torch.nn.functional.dropout(x, 0.5),
    ],
    ids=["softmax", "centered", "dropout"],
)
def test_functions_of_a_whole_tensor_are_refused(phi):
    with pytest.raises(TypeError, match="phi must be element-wise, got values that change"):
        taylor_coefficients(phi, 3, 0.1)
    with pytest.raises(TypeError, match="phi must be element-wise, got values that change"):
        moments(phi)


def test_a_constant_has_a_series_and_so_has_a_step_far_from_its_jump():
    assert taylor_coefficients(torch.ones_like, 2).tolist() == [1, 0, 0]
    assert taylor_coefficients(lambda x: (x > 0).double(), 2, at=5.0).tolist() == [1, 0, 0]
