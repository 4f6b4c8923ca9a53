"""The backward pass against autograd, averages against torch, growth against simulation."""

import math

import numpy as np
import pytest
import torch

from d2lstab.elementwise import ACTIVATIONS
from d2lstab.theory.batch_norm import (
    gradient_growth,
    half_life,
    input_gradient,
    jacobian,
    running_estimate,
    running_mean_variance,
)


def normalized_with_graph(
    shape: tuple[int, ...], eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(shape, dtype=torch.float64, generator=generator)
    x.requires_grad_()
    std = (x.var(dim=0, correction=0) + eps).sqrt()
    return x, (x - x.mean(dim=0)) / std, std


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(5,), (7, 3)])
def test_input_gradient_equals_autograd(shape: tuple[int, ...], eps: float) -> None:
    x, z, std = normalized_with_graph(shape, eps)
    u = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(z, x, u)
    got = input_gradient(z.detach().numpy(), u.numpy(), std.detach().numpy())
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(got.sum(axis=0), 0, atol=1e-14)
    if eps == 0:
        np.testing.assert_allclose((got * z.detach().numpy()).sum(axis=0), 0, atol=1e-14)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_jacobian_equals_autograd_and_the_gradient(eps: float) -> None:
    x, z, std = normalized_with_graph((6,), eps)
    rows = [torch.autograd.grad(z[i], x, retain_graph=True)[0] for i in range(6)]
    got = jacobian(z.detach().numpy(), std.item())
    np.testing.assert_allclose(got, torch.stack(rows).numpy(), rtol=1e-12, atol=1e-15)
    u = np.arange(6.0)
    np.testing.assert_allclose(
        got.T @ u, input_gradient(z.detach().numpy(), u, std.item()), atol=1e-14
    )


@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0, 0.0, None])
@pytest.mark.parametrize("steps", [0, 1, 22])
def test_running_estimate_equals_torch(momentum: float | None, steps: int) -> None:
    layer = torch.nn.BatchNorm1d(1, momentum=momentum, dtype=torch.float64)
    for _ in range(steps):
        layer(torch.tensor([[3.0], [5.0]], dtype=torch.float64))
    expected = layer.running_mean.item()
    assert running_estimate(4.0, steps, momentum) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_running_estimate_published_and_half_life() -> None:
    assert running_estimate(4.0, 22, 0.1) == pytest.approx(3.60609, abs=5e-6)
    assert half_life(0.1) == pytest.approx(6.58, abs=5e-3)
    assert running_estimate(1.0, 30, 1 - 0.5 ** (1 / 30)) == pytest.approx(0.5, rel=1e-12)
    assert half_life(1 - 0.5 ** (1 / 30)) == pytest.approx(30, rel=1e-12)
    assert running_estimate(-2.0, 3, 1e-20) == pytest.approx(-6e-20, rel=1e-12, abs=0)


def test_running_mean_variance_sums_the_weights() -> None:
    m, past = 0.1, 0.9
    weights = math.fsum((m * past**k) ** 2 for k in range(2000))
    assert running_mean_variance(m, 3.0, 16) == pytest.approx(weights * 3 / 16, rel=1e-12)


def test_growth_in_closed_form() -> None:
    assert gradient_growth(math.inf, "linear") == 1
    assert gradient_growth(math.inf, "relu") == pytest.approx(math.pi / (math.pi - 1), rel=1e-10)
    assert [gradient_growth(b, "linear") for b in (4, 5, 8, 128)] == [2, 1.5, 1.2, 126 / 125]
    assert gradient_growth(8, ACTIVATIONS["linear"]) == 1.2


@pytest.mark.parametrize("phi", sorted(ACTIVATIONS))
def test_growth_is_at_least_one(phi: str) -> None:
    assert gradient_growth(math.inf, phi) >= 1 - 1e-12
    assert gradient_growth(math.inf, lambda x: x**3 - 3 * x) == pytest.approx(3, rel=1e-9)  # He3


def simulated_log_growth(phi: str, batch: int, width: int, depth: int, nets: int) -> torch.Tensor:
    """ln of the squared gradient's growth per layer, each of `nets` networks, float64."""
    generator = torch.Generator().manual_seed(0)
    f, grads = ACTIVATIONS[phi], []
    for _ in range(nets):
        x = torch.randn(batch, width, dtype=torch.float64, generator=generator)
        h, kept = x.requires_grad_(), []
        for _ in range(depth):
            w = torch.randn(width, width, dtype=torch.float64, generator=generator) / width**0.5
            kept.append(h)
            h = h @ w
            h = f((h - h.mean(dim=0)) / h.var(dim=0, correction=0).sqrt())
        upstream = torch.randn(h.shape, dtype=torch.float64, generator=generator)
        gradients = torch.autograd.grad(h, kept, upstream)
        grads.append(torch.stack([g.square().sum().log() for g in gradients]))
    logs = torch.stack(grads)
    burn = 6  # layers for the batch to reach its fixed point, at either end
    return (logs[:, burn] - logs[:, -1 - burn]) / (depth - 1 - 2 * burn)


@pytest.mark.parametrize(("phi", "batch"), [("linear", 8), ("relu", 128), ("tanh", 128)])
def test_growth_in_random_networks(phi: str, batch: int) -> None:
    # width n = 128, depth 33, 6 networks; bound: 4 standard errors of the mean over networks,
    # and corrections of order 1 / n and 1 / B, taken as 5 / (2 n) and (for the limit) 2 / B
    logs = simulated_log_growth(phi, batch, 128, 33, 6)
    predicted = math.log(gradient_growth(batch if phi == "linear" else math.inf, phi))
    bias = 5 / (2 * 128) + (0.0 if phi == "linear" else 2 / batch)
    bound = 4 * logs.std().item() / math.sqrt(len(logs)) + bias
    assert logs.mean().item() == pytest.approx(predicted, abs=bound)
    assert bound < 0.25 * max(predicted, 0.2)  # the bound tells the prediction from no growth


def test_bad_growth() -> None:
    for batch in (3, 2, 1, 0, -4):
        with pytest.raises(ValueError, match="batch_size must be"):
            gradient_growth(batch, "linear")
    for phi in ("relu", torch.tanh):
        with pytest.raises(ValueError, match=r"batch_size must be math\.inf"):
            gradient_growth(64, phi)
    for batch in (4.5, True, "8", math.nan, None, -math.inf):
        with pytest.raises(TypeError, match="batch_size must be"):
            gradient_growth(batch, "linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="phi must be"):
        gradient_growth(math.inf, "rellu")


def test_bad_averages() -> None:
    for momentum in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="momentum must be"):
            running_estimate(1.0, 3, momentum)
        with pytest.raises(ValueError, match="momentum must be"):
            running_mean_variance(momentum, 1.0, 3)
    with pytest.raises(ValueError, match="steps must be"):
        running_estimate(1.0, -1, 0.1)
    with pytest.raises(TypeError, match="steps must be"):
        running_estimate(1.0, 2.0, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="value must be"):
        running_estimate(math.nan, 1, 0.1)
    for momentum in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="momentum must be"):
            half_life(momentum)


def test_bad_backward() -> None:
    with pytest.raises(ValueError, match="upstream must have the shape"):
        input_gradient([1.0, -1.0], [1.0], 1.0)
    with pytest.raises(ValueError, match="normalized must be"):
        jacobian([[1.0], [-1.0]], 1.0)
    with pytest.raises(ValueError, match="normalized must be"):
        input_gradient([], [], 1.0)
    for std in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="std must be"):
            jacobian([1.0, -1.0], std)
        with pytest.raises(ValueError, match="std must be"):
            input_gradient([1.0, -1.0], [1.0, 2.0], std)
