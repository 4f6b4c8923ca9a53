"""The rules of the house, enforced on the imports and calls of every file of the package.

Theory and measurement share no code, so that their agreement means something;
nothing imports upward; heavy packages wait in the rooms that need them.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "d2lstab").rglob("*.py"))

LEAVES = {"elementwise", "arguments"}
BELOW_PLOTS = {"theory", "specimens", "measure", "optimize"}
# What each room may import of ours, besides itself and the leaves.
MAY_IMPORT = {
    "elementwise": set(),
    "arguments": set(),
    "theory": set(),
    "specimens": set(),
    "measure": set(),
    "optimize": {"specimens", "measure"},
    "plots": BELOW_PLOTS,  # result types alone: see `_only_types`
    "widgets": BELOW_PLOTS | {"plots"},
    "course": BELOW_PLOTS | {"plots", "widgets"},
    "integrations": BELOW_PLOTS | {"plots", "widgets", "course"},
}
# Where each foreign package may be imported; whatever is not named may be imported anywhere.
FOREIGN = {
    "matplotlib": {"plots", "widgets", "course", "integrations"},
    "ipywidgets": {"widgets", "course"},
    "d2l": {"integrations"},
    "torchvision": {"integrations"},
    "sklearn": {"specimens/data.py"},
    "threadpoolctl": {"course/session.py"},
}
RANDOM = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson"}
RANDOM |= {"rand_like", "randn_like", "randint_like", "dropout"}
# Methods of a tensor and functions of `torch.nn.init` that fill it with random numbers.
FILLING = re.compile(r"(\w*(normal|uniform)|bernoulli|exponential|cauchy|geometric|orthogonal)_")
FORBIDDEN_CALLS = {
    "torch.manual_seed": "seeds the global RNG",
    "torch.seed": "seeds the global RNG",
    "torch.random.manual_seed": "seeds the global RNG",
    "torch.cuda.manual_seed": "seeds the global RNG",
    "torch.cuda.manual_seed_all": "seeds the global RNG",
    "numpy.random.seed": "seeds the global RNG",
    "np.random.seed": "seeds the global RNG",
    "random.seed": "seeds the global RNG",
    "torch.default_generator.manual_seed": "seeds the global RNG",
    "torch.random.default_generator.manual_seed": "seeds the global RNG",
    "torch.set_default_dtype": "changes the global dtype",
    "torch.set_default_device": "changes the global device",
}
# `seeded` lends other people's code seeded global generators, and restores them.
LENT = {"torch.random.default_generator.manual_seed", "numpy.random.seed", "np.random.seed"}
LENT |= {"random.seed"}


def room_of(path):
    """The room, or the leaf, that a path such as 'theory/formats.py' belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def dotted(node):
    """'torch.random.manual_seed' of the expression that names it, else ''."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


@cache
def classes_in(module):
    """The classes that a module of ours defines at its top level."""
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.exists():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.ClassDef))


def imported_modules(node):
    """The modules that one node imports, by statement or by name: (module, names)."""
    if isinstance(node, ast.Import):
        return [(alias.name, None) for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [(node.module, [alias.name for alias in node.names])]
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in (
        "import_module",
        "__import__",
    ):
        values = [a.value for a in node.args if isinstance(a, ast.Constant)]
        return [(value, None) for value in values if isinstance(value, str)]
    return []


def rooms_named(module, names):
    """The rooms that an import of ours reaches: `from d2lstab import theory` reaches theory."""
    parts = module.split(".")
    return [parts[1]] if len(parts) > 1 else list(names or ["(the whole package)"])


def import_violations(path, node):
    room, found = room_of(path), []
    if isinstance(node, ast.ImportFrom) and node.level:
        found.append("imports relatively: write the absolute name")
    for module, names in imported_modules(node):
        top = module.partition(".")[0]
        if top in FOREIGN and not {room, path} & FOREIGN[top]:
            found.append(f"imports {top}, which belongs in {', '.join(sorted(FOREIGN[top]))}")
        if top != "d2lstab":
            continue
        for target in rooms_named(module, names):
            allowed = set() if room in LEAVES else {room, *LEAVES, *MAY_IMPORT.get(room, ())}
            if target not in allowed:
                found.append(f"imports {target} from {room}")
            elif room == "plots" and target in BELOW_PLOTS:
                types = classes_in(module)
                found += [
                    f"imports {n}, no type, into plots" for n in names or ["*"] if n not in types
                ]
    return found


def full_names(tree):
    """What a file calls a module or function -> its full name: np -> numpy."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def call_violations(path, node, results, full):
    first, dot, rest = dotted(node.func).partition(".")
    name = full.get(first, first) + dot + rest
    last = name.rpartition(".")[2] or getattr(node.func, "attr", "")
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in FORBIDDEN_CALLS and not (path == "course/session.py" and name in LENT):
        yield f"calls {name}, which {FORBIDDEN_CALLS[name]}"
    if last == "cuda" and isinstance(node.func, ast.Attribute):
        yield "calls .cuda(): the device follows the input"
    graph = keywords.get("create_graph", ast.Constant(False))
    if last == "backward" and not (isinstance(graph, ast.Constant) and graph.value is False):
        yield "calls backward(create_graph=True): use torch.autograd.grad"
    if last.startswith("set_num_") and room_of(path) != "course":
        yield "sets the number of threads outside course"
    top = name.partition(".")[0]
    if top == "torch" and last in RANDOM and "generator" not in keywords:
        yield f"calls {name} without a generator"
    if (
        FILLING.fullmatch(last)
        and "generator" not in keywords
        and not any(isinstance(value, ast.Name) for key, value in keywords.items() if key is None)
    ):  # f(**options) may hand one over
        yield f"calls {last} without a generator"
    if name.startswith(("numpy.random.", "random.")) and room_of(path) != "course":
        yield f"calls {name}: take a torch.Generator"
    if room_of(path) == "plots" and first in results:
        yield f"calls {name}: predictions and results arrive as arguments"


def violations(path, source):
    """Each broken rule of one file, as a sentence; `path` is relative to the package."""
    tree = ast.parse(source)
    results = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("d2lstab.")
        and node.module.split(".")[1] in BELOW_PLOTS
        for alias in node.names
    }
    found, full = [], full_names(tree)
    for node in ast.walk(tree):
        found += (
            [(node.lineno, v) for v in import_violations(path, node)]
            if hasattr(node, "lineno")
            else []
        )
        if isinstance(node, ast.Call):
            found += [(node.lineno, v) for v in call_violations(path, node, results, full)]
        if isinstance(node, ast.ImportFrom) and node.module in ("torch", "torch.random", "random"):
            found += [
                (node.lineno, f"imports {alias.name} from {node.module}: name it in full")
                for alias in node.names
                if f"{node.module}.{alias.name}" in FORBIDDEN_CALLS or alias.name in RANDOM
            ]
    return [f"{path}:{line} {sentence}" for line, sentence in found]


def relative(file):
    return file.relative_to(ROOT / "d2lstab").as_posix()


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_every_file_keeps_the_rules(file):
    found = violations(relative(file), file.read_text(encoding="utf-8"))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_every_file_belongs_to_a_room_and_fits_in_the_head(file):
    assert room_of(relative(file)) in {*MAY_IMPORT, "__init__"}
    lines = file.read_text(encoding="utf-8").count("\n")
    assert lines <= 250, f"{relative(file)} has {lines} lines, more than 250: split it by concept"


BROKEN = [
    ("theory/x.py", "from d2lstab.specimens.networks import mlp"),
    ("theory/x.py", "def f():\n    import d2lstab.measure.signals"),
    ("theory/x.py", "import importlib\nimportlib.import_module('d2lstab.measure.signals')"),
    ("specimens/x.py", "from d2lstab.theory.variance import xavier_bound"),
    ("specimens/x.py", "from d2lstab import theory"),
    ("specimens/x.py", "import d2lstab"),
    ("specimens/x.py", "from sklearn.datasets import load_digits"),
    ("specimens/x.py", "from ..theory import variance"),
    ("measure/x.py", "from d2lstab.theory import variance"),
    ("measure/x.py", "from d2lstab import theory as t"),
    ("measure/x.py", "from d2lstab.specimens.networks import mlp"),
    ("measure/x.py", "from d2lstab.optimize.training import train"),
    ("measure/x.py", "import matplotlib.pyplot as plt"),
    ("measure/x.py", "if TYPE_CHECKING:\n    from d2lstab.theory.variance import xavier_bound"),
    ("optimize/x.py", "from d2lstab.theory.quadratic import best"),
    ("optimize/x.py", "from d2lstab.plots.curves import draw_curves"),
    ("optimize/x.py", "import ipywidgets"),
    ("plots/x.py", "from d2lstab.specimens.data import digits"),
    ("plots/x.py", "from d2lstab.measure import signals"),
    ("plots/x.py", "import d2lstab.theory.variance"),
    ("plots/x.py", "from d2lstab.specimens.data import Digits\nDigits(1)"),
    ("plots/x.py", "from d2lstab.specimens.data import Digits as D\nD.make()"),
    ("plots/x.py", "from d2lstab.widgets.explorer import Explorer"),
    ("plots/x.py", "import ipywidgets"),
    ("widgets/x.py", "from d2lstab.course.session import start"),
    ("widgets/x.py", "from d2l import torch"),
    ("course/x.py", "from d2lstab.integrations.d2l import load"),
    ("course/x.py", "import torchvision"),
    ("elementwise.py", "from d2lstab.arguments import choice"),
    ("arguments.py", "from d2lstab.elementwise import activation"),
    ("arguments.py", "from d2lstab.theory.formats import float_format"),
    ("__init__.py", "from d2lstab.theory import formats"),
    ("integrations/x.py", "from sklearn.datasets import load_digits"),
    ("measure/x.py", "torch.manual_seed(0)"),
    ("measure/x.py", "from torch import manual_seed"),
    ("course/x.py", "torch.random.manual_seed(0)"),
    ("course/session.py", "torch.manual_seed(0)"),
    ("course/x.py", "import random\nrandom.seed(0)"),
    ("optimize/x.py", "torch.random.default_generator.manual_seed(0)"),
    ("specimens/x.py", "import numpy as np\nnp.random.seed(0)"),
    ("measure/x.py", "model.cuda()"),
    ("measure/x.py", "model(x).cuda(0)"),
    ("theory/x.py", "torch.set_default_dtype(torch.float64)"),
    ("measure/x.py", "loss_fn(model(x), y).backward(create_graph=True)"),
    ("measure/x.py", "loss.backward(create_graph=flag)"),
    ("measure/x.py", "torch.set_num_threads(1)"),
    ("measure/x.py", "torch.randn(3)"),
    ("measure/x.py", "from torch import randn"),
    ("specimens/x.py", "from torch import random as r\nr.manual_seed(0)"),
    ("specimens/x.py", "import numpy.random as nr\nnr.seed(0)"),
    ("specimens/x.py", "import numpy.random as nr\nnr.rand(3)"),
    ("measure/x.py", "import numpy as np\nnp.random.default_rng()"),
    ("measure/x.py", "import random as chance\nchance.random()"),
    ("measure/x.py", "from random import random\nrandom()"),
    ("measure/x.py", "torch.rand_like(x)"),
    ("measure/x.py", "torch.dropout(x, 0.5, True)"),
    ("measure/x.py", "x.uniform_()"),
    ("specimens/x.py", "from torch import nn\nnn.init.normal_(w)"),
]


@pytest.mark.parametrize(("path", "source"), BROKEN)
def test_a_broken_rule_is_seen(path, source):
    assert violations(path, source)


KEPT = [
    ("theory/x.py", "from d2lstab.elementwise import ACTIVATIONS\nimport scipy.special"),
    ("theory/x.py", "from d2lstab.theory.formats import float_format"),
    ("specimens/data.py", "from sklearn.datasets import load_digits"),
    ("optimize/x.py", "from d2lstab.measure.signals import record_signals"),
    ("optimize/x.py", "loss.backward()\nx.backward(create_graph=False)"),
    ("plots/x.py", "from d2lstab.specimens.data import Digits\nisinstance(x, Digits)"),
    ("widgets/x.py", "from d2lstab.theory.variance import xavier_bound"),
    ("course/x.py", "import ipywidgets, matplotlib\ntorch.set_num_threads(1)"),
    ("course/session.py", "np.random.seed(seed)"),
    ("integrations/x.py", "import d2l.torch\nfrom d2lstab.course.session import start"),
    ("measure/x.py", "generator.manual_seed(0)\ntorch.Generator().manual_seed(1)"),
    ("measure/x.py", "torch.randn(3, generator=generator)"),
    ("measure/x.py", "x.uniform_(-1, 1, generator=generator)"),
    ("specimens/x.py", "from torch import nn\nnn.init.normal_(w, generator=g)\nnn.init.zeros_(b)"),
]


@pytest.mark.parametrize(("path", "source"), KEPT)
def test_a_kept_rule_is_not_accused(path, source):
    assert violations(path, source) == []


def test_importing_the_package_imports_nothing_heavy():
    code = """
import sys
before = set(sys.modules)
import d2lstab
assert d2lstab.__version__ and "theory" in dir(d2lstab)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    ours = set(result.stdout.split())
    assert "d2lstab" in ours
    assert ours - {"d2lstab"} <= set(sys.stdlib_module_names)


def test_a_room_is_loaded_when_it_is_first_used():
    code = "import sys, d2lstab; d2lstab.theory; print('d2lstab.theory' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n"
