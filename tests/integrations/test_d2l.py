"""d2l models and data: loading beside any torchvision, training quietly, measuring."""

import json
import subprocess
import sys
import types
import warnings
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

from d2lstab.integrations import d2l as integration

needs_d2l = pytest.mark.skipif(find_spec("d2l") is None, reason="d2l is not installed: make d2l")


# Loading: each scenario in turn in one fresh Python, with d2l forgotten in between

SCENARIOS = """
import contextlib, importlib.util, inspect, json, sys, warnings
import matplotlib, torch
warnings.simplefilter("error")
from d2lstab.integrations.d2l import load

folder, scenarios, reports = sys.argv[1], json.loads(sys.argv[2]), {}

class Hidden:
    names = ()
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def said(expression):
    try:
        return str(eval(expression, {"d2l": sys.modules.get("d2l.torch"), "load": load}))
    except ImportError as error:
        return f"ImportError: {error}"

def state():
    names = (n for n in sys.modules if n.partition(".")[0] == "torchvision")
    settings = dict(matplotlib.rcParams.copy())
    del settings["backend"]  # compared below, without choosing one
    return sorted(names), settings, matplotlib.get_backend(auto_select=False), list(
        warnings.filters), torch.random.get_rng_state().tolist()

hidden = Hidden()
sys.meta_path.insert(0, hidden)
find_spec = importlib.util.find_spec
for name, (names, init, transforms) in scenarios.items():
    for module in [m for m in sys.modules if m.partition(".")[0] in ("d2l", "torchvision")]:
        del sys.modules[module]
    hidden.names = names
    path = f"{folder}/{name}"
    sys.path.insert(0, path)
    importlib.invalidate_caches()
    importlib.util.find_spec = (
        lambda n, *rest: None if n == "d2l" and "d2l" in hidden.names else find_spec(n, *rest)
    )
    before = state()
    report = {"load": said("load()")}
    after = state()
    report["modules"], report["kept"] = after[0], after[1:] == before[1:]
    if not report["load"].startswith("ImportError"):
        d2l = sys.modules["d2l.torch"]
        report["again"] = load() is d2l
        report["transform"] = said("d2l.transforms.ToTensor")
        report["datasets"] = said("d2l.torchvision.datasets")
        report["probed"] = inspect.getmodule(d2l.torchvision) is d2l.torchvision
        report["shape"] = list(d2l.LeNet()(torch.zeros(2, 1, 28, 28)).shape)
    sys.path.remove(path)
    reports[name] = report
print(json.dumps(reports))
"""

# Packages that are hidden, and the texts of a torchvision's __init__ and transforms. The two
# without d2l come first, while pandas is not loaded yet.
TORCHVISIONS = {
    "no_pandas": (["pandas"], "", ""),
    "no_d2l": (["d2l"], "", ""),
    "missing": (["torchvision"], "", ""),
    "other_build": ([], "raise RuntimeError('operator torchvision::nms does not exist')", ""),
    "other_library": ([], "import torchvision.part\nraise OSError('undefined symbol')", ""),
    "half": ([], "", "raise ValueError('half a torchvision')"),
    "working": (
        [],
        "import warnings, matplotlib\nwarnings.warn('no codecs')\ndatasets = 'real data'\n"
        "matplotlib.rcParams['lines.linewidth'] = 9",
        "ToTensor = 'real'",
    ),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torchvisions")
    for name, (_, init, transforms) in TORCHVISIONS.items():
        package = folder / name / "torchvision"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(init)
        (package / "transforms.py").write_text(transforms)
        (package / "part.py").write_text("")
    result = subprocess.run(
        [sys.executable, "-c", SCENARIOS, str(folder), json.dumps(TORCHVISIONS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)  # and nothing else was printed


def test_without_d2l_load_says_what_to_install_and_how(reports):
    said = reports["no_d2l"]["load"]
    assert said.startswith("ImportError: d2l must be installed, got no package named d2l")
    assert "`make d2l`" in said
    assert "pip install --no-deps d2l==1.0.3" in said


@needs_d2l
def test_a_missing_dependency_of_d2l_is_named(reports):
    said = reports["no_pandas"]["load"]
    assert said.startswith("ImportError: d2l must be importable")
    assert "pandas" in said
    assert "`make d2l`" in said


@needs_d2l
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "No module named 'torchvision'"),
        ("other_build", "operator torchvision::nms does not exist"),
        ("other_library", "undefined symbol"),
        ("half", "half a torchvision"),
    ],
)
def test_missing_or_broken_torchvision_is_a_placeholder_that_speaks(reports, name, reason):
    report = reports[name]
    assert report["shape"] == [2, 10]
    assert report["modules"] == []
    for said in (report["transform"], report["datasets"]):
        assert said.startswith("ImportError: torchvision.")
        assert reason in said
        assert f"built for torch {torch.__version__}" in said


@needs_d2l
def test_working_torchvision_is_used_as_it_is(reports):
    report = reports["working"]
    assert (report["transform"], report["datasets"]) == ("real", "real data")
    assert report["modules"] == ["torchvision", "torchvision.transforms"]
    assert report["shape"] == [2, 10]


@needs_d2l
@pytest.mark.parametrize("name", ["missing", "other_build", "other_library", "half", "working"])
def test_load_leaves_the_settings_and_returns_the_same_module_again(reports, name):
    assert reports[name]["kept"]
    assert reports[name]["again"]
    assert reports[name]["probed"]


# Data


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


# Training


@pytest.fixture
def classifier():
    d2l = integration.load()

    class Classifier(d2l.Classifier):
        def __init__(self, lr=0.5):
            super().__init__()
            self.save_hyperparameters()
            hidden, last = torch.nn.Linear(64, 16), torch.nn.Linear(16, 10)
            generator = torch.Generator().manual_seed(5)
            for layer in (hidden, last):
                torch.nn.init.xavier_uniform_(layer.weight, generator=generator)
                torch.nn.init.zeros_(layer.bias)
            self.net = torch.nn.Sequential(hidden, torch.nn.ReLU(), last)

    return Classifier


def data(count=40, batch_size=10, validation=True):
    return integration.data_module(
        pair(count),
        pair(15, seed=1) if validation else None,
        batch_size=batch_size,
        generator=torch.Generator().manual_seed(0),
    )


@needs_d2l
def test_fit_is_plain_sgd_with_its_numbers_kept(classifier, capfd):
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
def test_fit_leaves_board_and_modes_as_they_were(classifier):
    model = classifier()
    model.net[1].eval()
    integration.fit(model, data(), 1)
    assert model.board.display is True
    assert "draw" not in vars(model.board)
    assert [m.training for m in model.modules()] == [True, True, True, False, True]
    assert list(model.board.data) == ["train_loss", "val_loss", "val_acc"]


@needs_d2l
def test_fit_restores_the_board_when_the_model_raises(classifier):
    model = classifier()
    model.loss = lambda outputs, targets: 1 / 0
    with pytest.raises(ZeroDivisionError):
        integration.fit(model, data(), 1)
    assert model.board.display is True
    assert "draw" not in vars(model.board)


@needs_d2l
def test_fit_keeps_every_update_also_with_one_batch_and_no_validation(classifier):
    history = integration.fit(classifier(), data(8, 8, validation=False), 2)
    assert history.train_loss.shape == (2,)
    assert history.validation_loss.numel() == history.validation_accuracy.numel() == 0


@needs_d2l
def test_clipping_bounds_the_first_step(classifier):
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
def test_fit_refuses(classifier, change, error):
    arguments = {"model": classifier(), "data": data(), "max_epochs": 1} | change
    with pytest.raises(error, match="must be"):
        integration.fit(**arguments)


# In and out


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
def test_signals_of_lenet():
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
def test_signals_of_an_mlp_written_as_a_d2l_classifier(classifier):
    signals = pytest.importorskip("d2lstab.measure.signals")
    model, (inputs, targets) = classifier(), pair(6)
    recorded = signals.record_signals(model, integration.loss_fn(model), inputs, targets)
    assert [layer.name for layer in recorded.layers] == ["net.0", "net.1", "net.2"]
    hidden = model.net[0](inputs).square().mean().item()
    assert recorded.layers[0].forward_second_moment == pytest.approx(hidden, rel=1e-5)
