import math

import pytest
import torch
from torch import nn

from d2lstab.measure.curvature import HessianOperator, eigenpairs, hessian_matrix
from d2lstab.measure.preconditioned import PreconditionedOperator


def random_symmetric(n):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return a + a.T


def test_it_is_the_product_of_three_matrices():
    h, d = random_symmetric(7), torch.linspace(0.1, 9.0, 7, dtype=torch.float64)
    seen = PreconditionedOperator(h, d)
    whole = torch.diag(d.rsqrt()) @ h @ torch.diag(d.rsqrt())
    for v in torch.eye(7, dtype=torch.float64):
        torch.testing.assert_close(seen @ v, whole @ v, rtol=1e-13, atol=1e-13)


def test_eigenpairs_takes_it_also_over_a_network():
    random = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(20, 3, generator=random, dtype=torch.float64)
    y = torch.randn(20, 2, generator=random, dtype=torch.float64)
    args = (model, nn.functional.mse_loss, x, y)
    d = torch.linspace(0.5, 2.0, sum(p.numel() for p in model.parameters()), dtype=torch.float64)
    found = eigenpairs(PreconditionedOperator(HessianOperator(*args), d), 1, tolerance=1e-8)
    whole = torch.diag(d.rsqrt()) @ hessian_matrix(*args) @ torch.diag(d.rsqrt())
    assert bool(found.converged.all())
    assert float(found.values[0]) == pytest.approx(
        float(torch.linalg.eigvalsh(whole)[-1]), rel=1e-8
    )


def test_descent_divided_by_the_diagonal_is_stable_just_below_two_over_its_largest_eigenvalue():
    h = torch.diag(torch.tensor([1.0, 50.0], dtype=torch.float64))
    d = torch.tensor([0.2, 5.0], dtype=torch.float64)
    top = float(eigenpairs(PreconditionedOperator(h, d), 1).values[0])
    for share, grows in ((0.99, False), (1.01, True)):
        x = torch.ones(2, dtype=torch.float64)
        for _ in range(2000):
            x = x - share * 2 / top * (h @ x) / d
        assert bool(x.norm() > 1) == grows


@pytest.mark.parametrize(
    "diagonal",
    [
        torch.ones(3),
        torch.ones(2, 1),
        torch.tensor([1.0, 0.0]),
        torch.tensor([1.0, -1.0]),
        torch.tensor([1.0, math.nan]),
        torch.tensor([1.0, math.inf]),
    ],
)
def test_a_bad_diagonal_is_refused(diagonal):
    with pytest.raises(ValueError, match="diagonal must"):
        PreconditionedOperator(torch.eye(2), diagonal)


def test_what_is_no_tensor_or_operator_is_refused():
    with pytest.raises(TypeError, match="diagonal must"):
        PreconditionedOperator(torch.eye(2), [1.0, 1.0])
    with pytest.raises(TypeError, match="operator must"):
        PreconditionedOperator("H", torch.ones(2))
