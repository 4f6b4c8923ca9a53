"""Facts of scikit-learn's digits (known in closed form), splits and standardization."""

import math
import subprocess
import sys

import pytest
import torch
from sklearn.datasets import load_digits

from d2lstab.specimens import data
from d2lstab.specimens.data import all_digits, digits, standardization, standardize


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_all_digits_are_the_published_set() -> None:
    inputs, targets = all_digits(scaling="raw", dtype=torch.float64)
    pixels, labels = load_digits(return_X_y=True)
    assert torch.equal(inputs, torch.tensor(pixels))
    assert torch.equal(targets, torch.tensor(labels))
    assert targets.dtype == torch.int64
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert torch.bincount(targets).tolist() == counts
    assert inputs.mean().item() == pytest.approx(4.8842, abs=5e-5)
    assert inputs.square().mean().item() == pytest.approx(60.0568, abs=5e-5)


def test_the_digits_are_read_without_scikit_learn_s_modules() -> None:
    script = (
        "import sys; from d2lstab.specimens.data import all_digits; all_digits(); "
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_scikit_learn_reads_them_where_its_layout_is_another(monkeypatch) -> None:
    inputs, targets = data._pixels_and_labels.__wrapped__()
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    again, labels = data._pixels_and_labels.__wrapped__()
    assert torch.equal(inputs, again)
    assert inputs.dtype == again.dtype == torch.float64
    assert torch.equal(targets, labels)


def test_result_is_fresh_each_time() -> None:
    for scaling in ("raw", "unit", "standardized"):
        inputs, targets = all_digits(scaling=scaling, dtype=torch.float64)
        first, label = inputs[0].clone(), targets[0].clone()
        inputs.zero_()
        targets.fill_(99)
        again, labels = all_digits(scaling=scaling, dtype=torch.float64)
        assert torch.equal(again[0], first)
        assert labels[0] == label


def test_split_is_a_partition_with_equal_class_shares() -> None:
    d = digits(scaling="raw", generator=seeded())
    assert len(d.train_inputs) == 1347
    assert len(d.test_inputs) == 450
    together = torch.cat([d.train_inputs, d.test_inputs])
    whole, labels = all_digits(scaling="raw")
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, whole.tolist()))
    shares = torch.bincount(d.test_targets, minlength=10) - torch.bincount(labels) * 450 / 1797
    assert shares.abs().max() < 1  # systematic sampling: less than one sample off per class
    # the order is mixed: sorted labels would have 9 changes of neighbor, random ones about 1212
    assert int((d.train_targets.diff() != 0).sum()) > 1000


@pytest.mark.parametrize("fraction", [0.1, 0.2, 1 / 3, 0.5, 0.9])
def test_size_of_the_split(fraction: float) -> None:
    d = digits(test_fraction=fraction, generator=seeded())
    assert len(d.test_targets) == math.ceil(round(1797 * fraction, 9))
    assert len(d.test_targets) + len(d.train_targets) == 1797


def test_split_depends_on_the_generator_alone() -> None:
    a, b, c = (digits(generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a.train_inputs, b.train_inputs)
    assert not torch.equal(a.train_targets, c.train_targets)


def test_inputs_keep_their_labels_through_the_split() -> None:
    d = digits(scaling="raw", generator=seeded())
    whole, labels = all_digits(scaling="raw")
    known = {tuple(x): y for x, y in zip(whole.tolist(), labels.tolist(), strict=True)}
    for x, y in zip(d.test_inputs.tolist(), d.test_targets.tolist(), strict=True):
        assert known[tuple(x)] == y


@pytest.mark.parametrize("seed", range(3))
def test_standardized_digits_survive_constant_pixels(seed: int) -> None:
    d = digits(generator=seeded(seed), dtype=torch.float64)
    constant = d.std == 0
    assert int(constant.sum()) >= 3  # three pixels of the whole set, more in a split
    assert bool(d.train_inputs.isfinite().all())
    assert bool(d.test_inputs.isfinite().all())
    torch.testing.assert_close(d.train_inputs.mean(0), torch.zeros(64, dtype=torch.float64))
    variance = d.train_inputs.square().mean(0)
    torch.testing.assert_close(variance, (~constant).double(), rtol=1e-12, atol=1e-12)
    raw = digits(scaling="raw", generator=seeded(seed), dtype=torch.float64)
    torch.testing.assert_close(raw.train_inputs.mean(0), d.mean)
    torch.testing.assert_close(raw.train_inputs.std(0, correction=0), d.std)
    by_training = (raw.test_inputs - d.mean) / torch.where(constant, 1.0, d.std)
    torch.testing.assert_close(d.test_inputs, by_training)


def test_whole_set_has_three_constant_pixels() -> None:
    d = digits(test_fraction=0)
    assert int((d.std == 0).sum()) == 3
    assert d.test_inputs.shape == (0, 64)
    assert d.test_targets.shape == (0,)


def test_unit_scaling_images_and_dtypes() -> None:
    flat, _ = all_digits(scaling="unit")
    assert flat.min() == 0
    assert flat.max() == 1
    assert flat.dtype == torch.float32
    d = digits(scaling="unit", image=True, dtype=torch.float64, test_fraction=0)
    assert d.train_inputs.shape == (1797, 1, 8, 8)
    assert d.mean.shape == d.std.shape == (1, 8, 8)
    assert d.train_inputs.dtype == torch.float64
    assert torch.equal(d.train_inputs.reshape(1797, 64).float(), flat)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, math.nan, math.inf, 0.99999])
def test_bad_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match="test_fraction must be"):
        digits(test_fraction=fraction, generator=seeded())


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        digits()
    with pytest.raises(TypeError, match="generator must be"):
        digits(generator=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scaling must be one of"):
        all_digits(scaling="whitened")
    with pytest.raises(ValueError, match="dtype must be"):
        all_digits(dtype=torch.int64)
    with pytest.raises(TypeError, match="test_fraction must be"):
        digits(test_fraction="0.2", generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        digits(0.25)  # type: ignore[misc]


def test_standardize_uses_training_statistics() -> None:
    train = torch.tensor([[1.0, 10.0, 0.1], [3.0, 30.0, 0.1]], dtype=torch.float64)
    test = torch.tensor([[5.0, 10.0, 0.3]], dtype=torch.float64)
    a, b = standardize(train, test)
    expected = torch.tensor([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    assert torch.equal(a, expected)
    expected = torch.tensor([[3.0, -1.0, 0.3 - 0.1]], dtype=torch.float64)
    torch.testing.assert_close(b, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_constant_column_has_std_exactly_zero(dtype: torch.dtype) -> None:
    # 0.1 is no binary fraction: its naive mean over 7 rows is off by round-off
    s = standardization(torch.full((7, 2), 0.1, dtype=dtype))
    assert torch.equal(s.std, torch.zeros(2, dtype=dtype))
    assert s.mean.dtype == dtype


def test_one_row_and_images() -> None:
    (one,) = standardize(torch.tensor([[4.0, 5.0]]))
    assert torch.equal(one, torch.zeros(1, 2))
    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    (out,) = standardize(images)
    assert torch.equal(out, torch.stack([-torch.ones(3, 2, 2), torch.ones(3, 2, 2)]))


def test_bad_standardization() -> None:
    with pytest.raises(TypeError, match="train must be"):
        standardization([[1.0]])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="train must be"):
        standardization(torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="train must be"):
        standardization(torch.ones(0, 2))
    with pytest.raises(ValueError, match="shape"):
        standardization(torch.ones(3))
    with pytest.raises(ValueError, match="NaN"):
        standardization(torch.tensor([[1.0], [math.nan]]))
    with pytest.raises(ValueError, match="rows of shape"):
        standardize(torch.ones(3, 2), torch.ones(3, 1))
    with pytest.raises(TypeError, match="others must be"):
        standardize(torch.ones(3, 2), [1.0])  # type: ignore[arg-type]
