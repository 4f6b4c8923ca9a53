"""Our tensors as a d2l DataModule."""

from importlib.util import find_spec

import pytest
import torch

from d2lstab.integrations import d2l as integration

needs_d2l = pytest.mark.skipif(find_spec("d2l") is None, reason="d2l is not installed: make d2l")


@pytest.mark.parametrize("shape", [(3, 64), (3, 8, 8), (3, 1, 8, 8)])
def test_as_images_scales_every_form_of_the_digits_alike(shape):
    flat = torch.arange(3 * 64, dtype=torch.float64)
    images = integration.as_images(flat.reshape(shape), 28)
    assert images.shape == (3, 1, 28, 28)
    assert images.dtype == torch.float64
    # Bilinear scaling reproduces a linear ramp exactly, away from the clamped border.
    centers = (torch.arange(28, dtype=torch.float64) + 0.5) * 8 / 28 - 0.5
    ramp = 8 * centers[4:24, None] + centers[None, 4:24]
    torch.testing.assert_close(images[0, 0, 4:24, 4:24], ramp, rtol=0, atol=1e-12)


def test_as_images_of_the_same_size_changes_nothing():
    inputs = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(integration.as_images(inputs, 5), inputs)


@pytest.mark.parametrize(
    ("inputs", "size", "error"),
    [
        ([[0.0]], 28, TypeError),
        (torch.zeros(2, 64, dtype=torch.int64), 28, TypeError),
        (torch.zeros(0, 64), 28, ValueError),
        (torch.zeros(2, 63), 28, ValueError),
        (torch.zeros(64), 28, ValueError),
        (torch.zeros(1, 1, 1, 8, 8), 28, ValueError),
        (torch.zeros(2, 64), 0, ValueError),
        (torch.zeros(2, 64), 28.0, TypeError),
        (torch.zeros(2, 64), True, TypeError),
    ],
)
def test_as_images_refuses(inputs, size, error):
    with pytest.raises(error, match="must be"):
        integration.as_images(inputs, size)


def pair(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 64, generator=generator)
    return inputs, (inputs[:, :10]).argmax(1)


@needs_d2l
def test_data_module_serves_every_sample_once_in_the_generators_order():
    inputs, targets = pair(10)

    def epoch(seed):
        data = integration.data_module(
            (inputs, targets),
            (inputs[:4], targets[:4]),
            batch_size=4,
            generator=torch.Generator().manual_seed(seed),
        )
        assert isinstance(data, integration.load().DataModule)
        assert torch.equal(torch.cat([x for x, _ in data.val_dataloader()]), inputs[:4])
        return list(data.train_dataloader())

    state = torch.random.get_rng_state()
    batches = epoch(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [len(y) for _, y in batches] == [4, 4, 2]
    seen = torch.cat([x for x, _ in batches])
    assert not torch.equal(seen, inputs)
    assert torch.equal(seen.sort(0).values, inputs.sort(0).values)
    assert torch.equal(seen, torch.cat([x for x, _ in epoch(1)]))
    assert not torch.equal(seen, torch.cat([x for x, _ in epoch(2)]))


@needs_d2l
def test_data_module_scales_pictures_where_told():
    data = integration.data_module(
        pair(3), pair(2), batch_size=3, generator=torch.Generator(), size=28
    )
    assert next(iter(data.train_dataloader()))[0].shape == (3, 1, 28, 28)
    assert next(iter(data.val_dataloader()))[0].shape == (2, 1, 28, 28)


GOOD = {"train": pair(4), "validation": None, "batch_size": 2, "generator": torch.Generator()}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"train": pair(4)[0]}, TypeError),
        ({"train": (pair(4)[0], [1, 2, 3, 4])}, TypeError),
        ({"train": (pair(4)[0].long(), pair(4)[1])}, TypeError),
        ({"train": (pair(4)[0], pair(3)[1])}, ValueError),
        ({"train": (pair(4)[0], torch.tensor(1))}, ValueError),
        ({"train": (torch.zeros(0, 64), torch.zeros(0))}, ValueError),
        ({"validation": (pair(4)[0],)}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": "8"}, TypeError),
        ({"generator": 0}, TypeError),
        ({"size": -1}, ValueError),
    ],
)
def test_data_module_refuses(change, error):
    arguments = GOOD | change
    train, validation = arguments.pop("train"), arguments.pop("validation")
    with pytest.raises(error, match="must be"):
        integration.data_module(train, validation, **arguments)
