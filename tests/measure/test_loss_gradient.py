"""What is a loss and what is none."""

import math

import pytest
import torch

from d2lstab.measure.loss_gradient import check_dense, check_dependence, scalar_loss


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf])
def test_a_real_number_is_a_loss_finite_or_not(value):
    loss = torch.tensor(value)
    assert scalar_loss(loss) is loss


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (1.0, TypeError, "got float"),
        (None, TypeError, "got NoneType"),
        (torch.ones(1), ValueError, r"got shape \(1,\)"),
        (torch.tensor(1), ValueError, "torch.int64"),
        (torch.tensor(1j), ValueError, "torch.complex64"),
    ],
)
def test_what_is_no_loss_is_refused(loss, error, words):
    with pytest.raises(error, match=words):
        scalar_loss(loss)


def test_a_loss_without_a_gradient_is_refused():
    check_dependence(torch.tensor(1.0, requires_grad=True))
    with pytest.raises(ValueError, match="must depend on the model's parameters"):
        check_dependence(torch.tensor(1.0))


def test_a_sparse_gradient_is_refused():
    check_dense({"weight": torch.ones(2)})
    with pytest.raises(TypeError, match=r"sparse ones for bag: .* sparse=False"):
        check_dense({"weight": torch.ones(2), "bag": torch.ones(2).to_sparse()})
