import pytest
import torch

from d2lstab.theory.homogeneity import homogeneous_slopes


def test_named_and_given_functions():
    assert homogeneous_slopes("linear") == (1, 1)
    assert homogeneous_slopes("relu") == (1, 0)
    assert homogeneous_slopes("leaky_relu") == pytest.approx((1, 0.01), rel=1e-12)
    assert homogeneous_slopes(torch.abs) == (1, -1)
    assert homogeneous_slopes(torch.nn.ReLU(inplace=True)) == (1, 0)
    assert homogeneous_slopes(lambda x: -2 * torch.relu(-x)) == (0, 2)


@pytest.mark.parametrize(
    "phi", ["tanh", "elu", "hardtanh", "gelu", lambda x: x + 1e-3, lambda x: 0 * x, torch.log]
)
def test_functions_that_are_not(phi):
    assert homogeneous_slopes(phi) is None


@pytest.mark.parametrize(
    ("phi", "words"),
    [
        (lambda x: x.sum(), r"element-wise, got \(\)"),
        (lambda x: None, "element-wise, got NoneType"),
        (lambda x: torch.relu(x.detach()), "differentiable"),
        (lambda x: torch.softmax(x, -1), "element-wise, got values that change"),
    ],
)
def test_functions_that_are_refused(phi, words):
    with pytest.raises(TypeError, match=words):
        homogeneous_slopes(phi)
