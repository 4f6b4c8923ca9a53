"""Tiny lessons and notebooks for the tests of grading."""

import json

SETUP = "import math\n\nimport torch\n\nfrom d2lstab.course import check, compare"
STUBS = {
    "01-critical-std": "def critical_std(n):\n    ...",
    "01-contraction": "def contraction(curvatures, lr):\n    ...",
    "01-log-sum-exp": "def log_sum_exp(x):\n    ...",
}
RIGHT = {
    "01-critical-std": "from scipy.special import digamma\n\n\ndef critical_std(n):\n"
    "    return math.exp(-0.5 * (math.log(2) + digamma(n / 2)))",
    "01-contraction": "def contraction(curvatures, lr):\n"
    "    return max(abs(1 - lr * c) for c in curvatures)",
    "01-log-sum-exp": "def log_sum_exp(x):\n    return torch.logsumexp(x, 0)",
}
IDS = list(STUBS)


def name_of(id):
    return id[3:].replace("-", "_")


def exercise_cell(id, body, attempt=None):
    return f'{body}\n\n\ncheck("{id}", {attempt or name_of(id)})'


def cells(answers=RIGHT, **hostile):
    """The lesson's cells with these answers; `first`, `middle` and `last` are put between."""
    one, two, three = (exercise_cell(id, answers.get(id, STUBS[id])) for id in IDS)
    order = [hostile.get("first"), one, hostile.get("middle"), two, three, hostile.get("last")]
    return [SETUP, *(source for source in order if source)]


def notebook(sources, language="python", outputs=()):
    code = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "source": source.splitlines(keepends=True),
            "outputs": list(outputs),
            "execution_count": 1,
        }
        for i, source in enumerate(sources)
    ]
    text = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# A lesson for tests"}
    metadata = {"kernelspec": {"name": language, "language": language, "display_name": language}}
    return {"cells": [text, *code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def write(path, sources, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook(sources, **options)), encoding="utf-8")
    return path


def write_lesson(folder):
    """The folder of a tiny lesson 01 with three exercises, as it was handed out."""
    write(folder / "01_tiny.ipynb", cells(answers={}))
    return folder
