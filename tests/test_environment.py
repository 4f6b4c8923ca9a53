"""The ways to install the course agree: pip, make, conda, Binder and continuous integration."""

import copy
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def required(project, *extras):
    """The requirements of pyproject.toml by name, those of the extras included."""
    listed = list(project["dependencies"])
    for extra in extras:
        listed += project["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in listed]
    return {canonicalize_name(r.name): r for r in requirements}


def pip_lines(environment):
    """What environment.yml hands to pip."""
    return next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))


def pins(lines):
    """The exact versions that lines such as 'numpy==2.4.6' name."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is no exact version"
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


def pin_errors(environment, project, constraints):
    """Each place where the pins contradict each other, as a sentence."""
    found = []
    tested = pins(constraints)
    extras = project["optional-dependencies"]
    for name, requirement in required(project, *extras).items():
        if name not in tested:
            found.append(f"constraints.txt does not pin {name}")
        elif tested[name] not in requirement.specifier:
            found.append(f"constraints.txt pins {name} {tested[name]}, not {requirement.specifier}")
    conda = pins(line for line in pip_lines(environment) if not line.startswith("-"))
    for name, version in conda.items():
        if tested.get(name) != version:
            found.append(f"environment.yml pins {name} {version}, tested was {tested.get(name)}")
    for name in required(project, "d2l"):
        if name not in conda:
            found.append(f"environment.yml does not install {name}")
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    if python.removeprefix("python=") not in SpecifierSet(project["requires-python"]):
        found.append(f"environment.yml takes {python}, not {project['requires-python']}")
    return found


@pytest.fixture
def project():
    return tomllib.loads(text("pyproject.toml"))["project"]


@pytest.fixture
def environment():
    return yaml.safe_load(text("environment.yml"))


@pytest.fixture
def constraints():
    return [line for line in text("constraints.txt").splitlines() if not line.startswith("#")]


def test_the_pins_agree(environment, project, constraints):
    assert pin_errors(environment, project, constraints) == []


@pytest.mark.parametrize(
    ("where", "old", "new", "said"),
    [
        ("environment", r"^numpy==.*", "numpy==2.0.0", "environment.yml pins numpy 2.0.0"),
        ("environment", r"^torch==.*", "torchaudio==2.0.0", "does not install torch"),
        ("constraints", r"^torch==.*", "torch==2.0.0", "constraints.txt pins torch 2.0.0, not >="),
        ("constraints", r"^numpy==.*", "numpy==2.3.0", "environment.yml pins numpy"),
        ("constraints", r"^hypothesis==.*", "hypothesiz==1", "does not pin hypothesis"),
        ("project", r"^scipy>=.*", "scipy>=99", "constraints.txt pins scipy"),
        ("project", r"^scipy>=.*", "seaborn>=0.13", "does not pin seaborn"),
    ],
)
def test_a_bad_pin_is_seen(environment, project, constraints, where, old, new, said):
    environment, project = copy.deepcopy(environment), copy.deepcopy(project)
    lines = {
        "environment": pip_lines(environment),
        "constraints": constraints,
        "project": project["dependencies"],
    }[where]
    (index,) = [i for i, line in enumerate(lines) if re.match(old, line)]
    lines[index] = new
    assert any(said in error for error in pin_errors(environment, project, constraints))


def test_an_old_python_for_conda_is_seen(environment, project, constraints):
    environment["dependencies"][0] = "python=3.10"
    assert any("python=3.10" in e for e in pin_errors(environment, project, constraints))


def test_the_tested_versions_are_exact_and_install_everywhere(constraints):
    versions = pins(constraints)
    assert len(versions) == len(constraints)
    # A local version such as 2.13.0+cpu exists on one index alone.
    assert [name for name, v in versions.items() if Version(v).local] == []


def test_conda_takes_the_cpu_build_and_only_what_repo2docker_copies_first(environment):
    lines = pip_lines(environment)
    assert lines[0] == f"--extra-index-url {CPU_INDEX}"
    # The repository itself is not there yet when Binder installs environment.yml.
    assert not any(line.startswith(("-e", "-r", "-c", ".")) for line in lines)
    assert "nodefaults" in environment["channels"]


def test_d2l_is_one_version_without_dependencies_everywhere():
    for name in ("Makefile", "postBuild", "constraints.txt", "d2lstab/integrations/library.py"):
        assert set(re.findall(r"\bd2l *==\s*([\d.]+\d)", text(name))) == {"1.0.3"}, name
    installs = [
        line
        for name in ("Makefile", "postBuild")
        for line in text(name).splitlines()
        if "install" in line and ("d2l==" in line or "$(D2L)" in line)
    ]
    assert len(installs) == 3
    assert all("--no-deps" in line for line in installs)


@pytest.mark.parametrize("name", ["postBuild", ".ci/run"])
def test_the_scripts_are_executable_and_stop_at_the_first_error(name):
    assert os.access(ROOT / name, os.X_OK)
    assert "set -euo pipefail" in text(name)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)


def make(*arguments):
    """Run make as a shell would: without the options of a make that runs these tests."""
    ours = {"PYTHON", "VENV", "TORCH_INDEX", "CONSTRAINTS", "ARGS", "NOTEBOOKS"}
    clean = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )


def targets():
    return set(re.findall(r"^([a-z0-9]+):", text("Makefile"), flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_command_that_is_named_exists(name):
    named = set(re.findall(r"(?:`|^ *)make ([a-z0-9]+)", text(name), flags=re.MULTILINE))
    assert named
    assert named <= targets()


def test_make_knows_what_to_do():
    for target in sorted(targets() - {"clean"}):
        plan = make("-n", target, "VENV=/nonexistent", "NOTEBOOKS=notebooks/x.ipynb").stdout
        assert plan, target
        if target != "d2l":
            assert "-c constraints.txt -e '.[test,bench,d2l]'" in plan, target


def test_a_second_make_installs_nothing(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".d2lstab-installed").touch()
    plan = make("-n", "lab", f"VENV={venv}", "ARGS=--no-browser --port=8899").stdout
    assert "pip" not in plan
    assert "jupyterlab" in plan
    assert "--no-browser --port=8899 notebooks/00_start_here.ipynb" in plan


def test_an_old_python_is_refused_with_advice(tmp_path):
    old = tmp_path / "python3"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 10)\n$2"\n'
    )
    old.chmod(0o755)
    result = make("install", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert result.returncode != 0
    assert "Python 3.11 or newer is needed" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_continuous_integration_runs_the_same_commands(project):
    workflow = yaml.safe_load(text(".github/workflows/ci.yml"))
    assert set(workflow[True]) == {"push", "pull_request", "schedule"}  # YAML reads `on` as true
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == PYTHONS
    assert all(version in SpecifierSet(project["requires-python"]) for version in PYTHONS)
    assert job["env"]["TORCH_INDEX"] == CPU_INDEX
    steps = {step.get("run"): step.get("if") for step in job["steps"]}
    assert steps[".ci/run"] is None
    assert steps["make browser"] == "github.event_name == 'schedule'"
    assert text(".ci/run").rstrip().endswith("make test")


def test_the_readme_names_the_index_and_the_python():
    assert f"make lab TORCH_INDEX={CPU_INDEX}" in text("README.md")
    assert f"Python {PYTHONS[0]} or newer" in text("README.md")


@pytest.mark.skipif(
    importlib.util.find_spec("repo2docker") is None, reason="jupyter-repo2docker is not installed"
)
def test_repo2docker_reads_the_environment(environment):
    result = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said = result.stdout + result.stderr
    assert f"Building conda environment for {environment['dependencies'][0]}" in said
    assert '--file "environment.yml"' in said
    assert "RUN ./postBuild" in said
