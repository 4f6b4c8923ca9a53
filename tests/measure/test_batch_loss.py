"""What the Hessian's operators ask of a model and its batches, and say where it is missing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure.curvature import HessianOperator, hessian_matrix


def small():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 3
BOTH = pytest.mark.parametrize("function", [HessianOperator, hessian_matrix])


@BOTH
@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm1d(3)], ids=["plain", "buffers"])
def test_inputs_of_another_dtype_are_told_apart_from_other_errors(function, norm):
    model = nn.Sequential(small(), norm)
    for batches in ((X.double(), Y), ([X, X.double()], [Y, Y])):
        with pytest.raises(TypeError, match=r"dtype torch.float32, got torch.float64: convert"):
            function(model, F.cross_entropy, *batches)
    with pytest.raises(RuntimeError, match="shapes"):
        function(model, F.cross_entropy, X[:, :3], Y)


@BOTH
@pytest.mark.parametrize("targets", [Y, Y[:0]])
def test_an_empty_batch_is_refused(function, targets):
    words = r"inputs must hold at least one sample, got shape \(0, 4\): pass"
    with pytest.raises(ValueError, match=words):
        function(small(), F.cross_entropy, X[:0], targets)
    with pytest.raises(ValueError, match=words):
        function(small(), F.cross_entropy, [X, X[:0]], [Y, targets])


@BOTH
def test_a_model_without_numbers_is_refused(function):
    with pytest.raises(ValueError, match="on the meta device"):
        function(small().to("meta"), F.cross_entropy, X, Y)


@BOTH
def test_a_model_that_freezes_itself_is_refused_and_comes_back_as_it_was(function):
    class Freezes(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x):
            self.first.weight.requires_grad_(False)
            return self.second(self.first(x))

    model = Freezes()
    with pytest.raises(ValueError, match="freezes some in its forward"):
        function(model, F.cross_entropy, X, Y)
    assert all(p.requires_grad for p in model.parameters())
    model.first.weight.requires_grad_(False)
    assert function(model, F.cross_entropy, X, Y).shape == (15, 15)


def test_a_change_of_a_batch_made_in_inference_mode_is_noticed():
    model = small()
    with torch.inference_mode():
        x, y = X.clone(), Y.clone()
    operator = HessianOperator(model, F.cross_entropy, x, y)
    before = operator.loss
    with torch.inference_mode():
        x.mul_(2)
    expected = F.cross_entropy(model(2 * X), Y).item()
    assert operator.loss == pytest.approx(expected, rel=1e-6)
    assert operator.loss != pytest.approx(before, rel=1e-3)
