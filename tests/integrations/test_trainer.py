"""d2l's Trainer, run quietly."""

import types
import warnings
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

from d2lstab.integrations import d2l as integration

needs_d2l = pytest.mark.skipif(find_spec("d2l") is None, reason="d2l is not installed: make d2l")


@pytest.fixture
def data(pair):
    def make(count=40, batch_size=10, validation=True):
        return integration.data_module(
            pair(count),
            pair(15, seed=1) if validation else None,
            batch_size=batch_size,
            generator=torch.Generator().manual_seed(0),
        )

    return make


@needs_d2l
def test_fit_is_plain_sgd_with_its_numbers_kept(classifier, data, capfd):
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier()
        history = integration.fit(model, data(), 3)
    assert capfd.readouterr() == ("", "")
    assert plt.get_fignums() == []

    twin, losses, validation = classifier(), [], []
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.5)
    loader = data()
    for _ in range(3):
        for x, y in loader.train_dataloader():
            loss = F.cross_entropy(twin(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            validation.append(
                [
                    (F.cross_entropy(twin(x), y).item(), (twin(x).argmax(1) == y).float().mean())
                    for x, y in loader.val_dataloader()
                ]
            )
    exact = {"rtol": 1e-6, "atol": 1e-7}  # the same operations in float32
    torch.testing.assert_close(history.train_loss, torch.tensor(losses).double(), **exact)
    means = torch.tensor(validation).double().mean(1)
    torch.testing.assert_close(history.validation_loss, means[:, 0], **exact)
    torch.testing.assert_close(history.validation_accuracy, means[:, 1], **exact)
    assert history.train_loss[-1] < history.train_loss[0]


@needs_d2l
def test_fit_leaves_board_and_modes_as_they_were(classifier, data):
    model = classifier()
    model.net[1].eval()
    integration.fit(model, data(), 1)
    assert model.board.display is True
    assert "draw" not in vars(model.board)
    assert [m.training for m in model.modules()] == [True, True, True, False, True]
    assert list(model.board.data) == ["train_loss", "val_loss", "val_acc"]


@needs_d2l
def test_fit_restores_the_board_when_the_model_raises(classifier, data):
    model = classifier()
    model.loss = lambda outputs, targets: 1 / 0
    with pytest.raises(ZeroDivisionError):
        integration.fit(model, data(), 1)
    assert model.board.display is True
    assert "draw" not in vars(model.board)


@needs_d2l
def test_fit_keeps_every_update_also_with_one_batch_and_no_validation(classifier, data):
    history = integration.fit(classifier(), data(8, 8, validation=False), 2)
    assert history.train_loss.shape == (2,)
    assert history.validation_loss.numel() == history.validation_accuracy.numel() == 0


@needs_d2l
def test_clipping_bounds_the_first_step(classifier, data):
    model, start = classifier(lr=1.0), classifier(lr=1.0)
    integration.fit(model, data(40, 40, validation=False), 1, gradient_clip_val=1e-3)
    moved = sum(
        (p - q).square().sum() for p, q in zip(model.parameters(), start.parameters(), strict=True)
    ).sqrt()
    # One step of at most lr * 1e-3; float32 rounds each parameter (below 1) by 2^-24.
    assert moved.item() <= 1e-3 + 2**-24 * 1300**0.5


@needs_d2l
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"max_epochs": 0}, ValueError),
        ({"max_epochs": 1.5}, TypeError),
        ({"gradient_clip_val": -1}, ValueError),
        ({"gradient_clip_val": float("nan")}, ValueError),
        ({"data": [(1, 2)]}, TypeError),
        ({"model": torch.nn.Linear(1, 1)}, TypeError),
        ({"model": types.SimpleNamespace(board=1)}, TypeError),
    ],
)
def test_fit_refuses(classifier, data, change, error):
    arguments = {"model": classifier(), "data": data(), "max_epochs": 1} | change
    with pytest.raises(error, match="must be"):
        integration.fit(**arguments)
