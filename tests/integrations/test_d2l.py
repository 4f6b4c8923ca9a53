"""d2l models handed to our measurements."""

from importlib.util import find_spec

import pytest
import torch

from d2lstab.integrations import d2l as integration

needs_d2l = pytest.mark.skipif(find_spec("d2l") is None, reason="d2l is not installed: make d2l")


@needs_d2l
def test_materialize_gives_lazy_layers_their_shapes_without_moving_statistics():
    d2l = integration.load()
    model = d2l.Classifier()
    model.net = torch.nn.Sequential(
        torch.nn.LazyConv2d(2, 3), torch.nn.LazyBatchNorm2d(), torch.nn.Flatten()
    )
    with torch.random.fork_rng():
        made = integration.materialize(
            model, torch.ones(1, 1, 8, 8), lambda m: vars(m).update(seen=1)
        )
    assert made is model
    assert model.net[0].weight.shape == (2, 1, 3, 3)
    assert torch.equal(model.net[1].running_mean, torch.zeros(2))
    assert all(m.training and m.seen == 1 for m in model.modules())


@needs_d2l
def test_materialize_lays_convolutions_out_without_changing_a_number():
    d2l = integration.load()
    images = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(1)
        made = integration.materialize(d2l.LeNet(), images[:1], d2l.init_cnn)
        torch.random.default_generator.manual_seed(1)
        plain = d2l.LeNet()
        plain(images[:1])
        plain.apply(d2l.init_cnn)
    assert made.net[3].weight.is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(made.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(made(images), plain(images))


def test_materialize_restores_the_modes_when_the_model_raises():
    model = torch.nn.Linear(3, 1)
    with pytest.raises(RuntimeError):
        integration.materialize(model, torch.ones(1, 2))
    assert model.training


@pytest.mark.parametrize(("model", "init"), [("LeNet", None), (torch.nn.Linear(2, 1), "xavier")])
def test_materialize_refuses(model, init):
    with pytest.raises(TypeError, match="must be"):
        integration.materialize(model, torch.ones(1, 2), init)


@needs_d2l
def test_loss_fn_is_the_models_own():
    d2l = integration.load()
    outputs, targets = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    assert integration.loss_fn(d2l.LeNet())(outputs, targets).item() == pytest.approx(0.693147)
    square = integration.loss_fn(d2l.LinearRegression(0.1))
    assert square(torch.tensor([[3.0]]), torch.tensor([[1.0]])).item() == 4


@pytest.mark.parametrize("model", [torch.nn.Linear(1, 1), None, "LeNet"])
def test_loss_fn_refuses(model):
    with pytest.raises(TypeError, match=r"must be a d2l\.Module"):
        integration.loss_fn(model)


@needs_d2l
def test_signals_of_lenet(pair):
    signals = pytest.importorskip("d2lstab.measure.signals")
    d2l = integration.load()
    inputs, targets = integration.as_images(pair(6)[0]), pair(6)[1]
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = integration.materialize(d2l.LeNet(), inputs, d2l.init_cnn)
    layers = signals.record_signals(model, integration.loss_fn(model), inputs, targets).layers
    assert [type(dict(model.named_modules())[layer.name]) for layer in layers] == [
        type(module) for module in model.net
    ]
    outputs = model(inputs)
    gradient = torch.autograd.grad(model.loss(outputs, targets), outputs)[0]
    last = layers[-1]
    assert last.forward_second_moment == pytest.approx(outputs.square().mean().item(), rel=1e-5)
    assert last.backward_second_moment == pytest.approx(gradient.square().mean().item(), rel=1e-5)


@needs_d2l
def test_signals_of_an_mlp_written_as_a_d2l_classifier(classifier, pair):
    signals = pytest.importorskip("d2lstab.measure.signals")
    model, (inputs, targets) = classifier(), pair(6)
    recorded = signals.record_signals(model, integration.loss_fn(model), inputs, targets)
    assert [layer.name for layer in recorded.layers] == ["net.0", "net.1", "net.2"]
    hidden = model.net[0](inputs).square().mean().item()
    assert recorded.layers[0].forward_second_moment == pytest.approx(hidden, rel=1e-5)
