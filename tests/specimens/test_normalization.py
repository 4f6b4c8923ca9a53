"""Ours against torch's, in float64: outputs, gradients, running statistics, both modes."""

import math

import pytest
import torch
from torch import Tensor, nn

from d2lstab.specimens.normalization import BatchNorm, LayerNorm, NoisyBatchNorm

SHAPES = [(5, 3), (2, 3), (4, 3, 2, 5), (1, 3, 2, 2), (2, 3, 1, 1)]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 + 2 * torch.randn(shape, dtype=torch.float64, generator=generator)


def pair(shape: tuple[int, ...], **options: float | None) -> tuple[BatchNorm, nn.Module]:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    ours, torchs = BatchNorm(3, **options).double(), kind(3, **options).double()
    with torch.no_grad():
        for p in (ours, torchs):
            p.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
            p.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    return ours, torchs


def gradients(module: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    x = x.clone().requires_grad_()
    y = module(x)
    return (y.detach(), *torch.autograd.grad(y, [x, module.weight, module.bias], upstream))


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"momentum": 0.5, "eps": 0.1}])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torch_in_training_and_evaluation(shape: tuple[int, ...], options: dict) -> None:
    ours, torchs = pair(shape, **options)
    for seed in range(4):
        x, u = draw(shape, seed), draw(shape, 100 + seed)
        for a, b in zip(gradients(ours, x, u), gradients(torchs, x, u), strict=True):
            torch.testing.assert_close(a, b, **CLOSE)
        for name, buffer in torchs.named_buffers():
            torch.testing.assert_close(ours.get_buffer(name), buffer, **CLOSE)
    ours.eval()
    torchs.eval()
    x, u = draw(shape, 50), draw(shape, 51)
    for a, b in zip(gradients(ours, x, u), gradients(torchs, x, u), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
    assert ours.num_batches_tracked == torchs.num_batches_tracked == 4


def test_state_dict_is_interchangeable_with_torch() -> None:
    ours, torchs = BatchNorm(3), nn.BatchNorm1d(3)
    ours(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    torchs.load_state_dict(ours.state_dict())
    assert torch.equal(torchs.running_var, ours.running_var)


def test_running_variance_is_the_unbiased_one() -> None:
    layer = BatchNorm(1).double()
    layer(torch.tensor([[1.0], [3.0], [5.0]], dtype=torch.float64))
    assert layer.running_var.item() == pytest.approx(0.9 + 0.1 * 4)
    assert layer.running_mean.item() == pytest.approx(0.3)


def test_a_batch_of_one_and_of_two() -> None:
    layer = BatchNorm(3)
    with pytest.raises(ValueError, match="more than one value"):
        layer(torch.ones(1, 3))
    with pytest.raises(ValueError, match="more than one value"):
        layer(torch.ones(1, 3, 1, 1))
    assert layer.num_batches_tracked == 0  # a refused batch leaves no trace
    assert layer.eval()(torch.ones(1, 3)).shape == (1, 3)
    two = BatchNorm(3, eps=0.0).double()
    x = draw((2, 3), 0).requires_grad_()
    y = two(x)
    torch.testing.assert_close(y.abs(), torch.ones_like(y), **CLOSE)
    (gradient,) = torch.autograd.grad(y, x, draw((2, 3), 1))
    assert gradient.abs().max() < 1e-14


def test_gamma_and_beta_can_restore_the_identity() -> None:
    layer, x = BatchNorm(3).double(), draw((6, 3), 0)
    with torch.no_grad():
        layer.weight.copy_((x.var(dim=0, correction=0) + layer.eps).sqrt())
        layer.bias.copy_(x.mean(dim=0))
    torch.testing.assert_close(layer(x), x, **CLOSE)


def test_dtype_follows_the_input_and_nan_passes_through() -> None:
    assert BatchNorm(3)(torch.ones(2, 3)).dtype == torch.float32
    x = torch.ones(2, 3)
    x[0, 0] = math.nan
    assert BatchNorm(3)(x).isnan().any(dim=0).tolist() == [True, False, False]


def test_second_derivatives_exist() -> None:
    layer, x = BatchNorm(2).double(), draw((4, 2), 0).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda t: layer.train()(t), x)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 5), (0, 3)])
def test_bad_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="inputs must"):
        BatchNorm(3)(torch.ones(shape))


def test_bad_arguments() -> None:
    for kind in (BatchNorm, LayerNorm):
        with pytest.raises(ValueError, match="num_features must be"):
            kind(0)
        with pytest.raises(TypeError, match="num_features must be"):
            kind(2.0)
        with pytest.raises(ValueError, match="eps must be"):
            kind(2, eps=-1e-5)
        with pytest.raises(TypeError, match="inputs must be"):
            kind(2)(torch.ones(3, 2, dtype=torch.int64))
    for momentum in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="momentum must be"):
            BatchNorm(2, momentum=momentum)
    with pytest.raises(TypeError):
        NoisyBatchNorm(2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="generator must be"):
        NoisyBatchNorm(2, generator=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        LayerNorm(3)(torch.ones(3, 2))


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 4, 3), (1, 3)])
def test_layer_norm_equals_torch(shape: tuple[int, ...]) -> None:
    ours, torchs = LayerNorm(3).double(), nn.LayerNorm(3).double()
    with torch.no_grad():
        for p in (ours, torchs):
            p.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
            p.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    x, u = draw(shape, 0), draw(shape, 1)
    for a, b in zip(gradients(ours, x, u), gradients(torchs, x, u), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 2, 2)])
def test_without_jitter_the_noise_moves_whole_features(shape: tuple[int, ...]) -> None:
    # y' - y = shift e2 and y' / y - 1 = scale e1, the same for all samples and places
    plain, x = BatchNorm(3), draw(shape, 0).float()
    y = plain(x)
    for scale, shift in ((0.0, 0.5), (0.5, 0.0)):
        random = torch.Generator().manual_seed(0)
        noisy = NoisyBatchNorm(3, scale=scale, shift=shift, jitter=0.0, generator=random)
        seen = []
        for _ in range(400):
            e = ((noisy(x) - y) / 0.5 if shift else (noisy(x) / y - 1) / 0.5).transpose(0, 1)
            e = e.reshape(3, -1)
            assert (e - e[:, :1]).abs().max() < 1e-3  # float32, divided by small y
            seen.append(e.median(dim=1).values)
        found = torch.stack(seen)
        assert found.mean().abs() < 4 / 1200**0.5  # 1200 draws: 4 standard deviations
        assert (found.var() - 1).abs() < 4 * (2 / 1200) ** 0.5
        assert (found[1:] * found[:-1]).mean().abs() < 4 / 1197**0.5  # new at every step


@pytest.mark.parametrize("shape", [(400, 3), (400, 3, 2, 2)])
def test_jitter_differs_from_sample_to_sample(shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    noisy = NoisyBatchNorm(3, scale=0.0, shift=0.5, jitter=0.4, generator=random)
    x = draw(shape, 0).float()
    difference = (noisy(x) - BatchNorm(3)(x)).reshape(400, 3, -1) / 0.5
    assert (difference - difference[..., :1]).abs().max() < 1e-5  # the same for all places
    e = difference[..., 0]
    assert (e.var(dim=0).mean() / 0.4**2 - 1).abs() < 4 * (2 / 1197) ** 0.5


def test_noise_follows_the_generator_and_stops_in_evaluation() -> None:
    x = draw((8, 3), 0).float()
    a, b = (NoisyBatchNorm(3, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a(x), b(x))
    assert not torch.equal(a(x), b.train()(x) * 0 + BatchNorm(3)(x))
    a.eval()
    assert torch.equal(a(x), a(x))
    before = torch.random.get_rng_state()
    a.train()(x)
    assert torch.equal(before, torch.random.get_rng_state())
