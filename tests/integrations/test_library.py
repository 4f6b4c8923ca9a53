"""Loading d2l beside a torchvision that is missing, broken or whole."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

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
