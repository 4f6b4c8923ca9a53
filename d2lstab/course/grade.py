"""Grade a folder of notebooks that students have handed in.

    python -m d2lstab.course.grade SUBMISSIONS --output grades.csv

Each notebook is executed in a sandbox without network and without access to anything
of this machine; its functions are judged here, outside. One row a notebook is written
as soon as it is known: run the command again after an interruption, and it goes on.
"""

import argparse
import shutil
import sys
from pathlib import Path

from d2lstab.course.grading.classroom import Classroom, grade_all
from d2lstab.course.grading.lessons import known_lessons
from d2lstab.course.grading.limits import Limits
from d2lstab.course.grading.submissions import find_submissions, other_files
from d2lstab.course.grading.supervision import sandbox_problem
from d2lstab.course.grading.table import one_line

__all__ = ["main"]

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_NO_SANDBOX = """\
The sandbox does not work here: {problem}
Notebooks that were handed in are other people's programs. {advice}
To run them with your own rights and files all the same, add --unsafe-without-sandbox."""
_INSTALL = "Install bubblewrap (Debian, Ubuntu: apt install bubblewrap)."
_ELSEWHERE = "Grade on a Linux machine that allows the sandbox; some containers do not."
_LEAST_MEMORY = 512  # MB: Python and torch alone need some 300
_WITHOUT = """\
No sandbox ({problem}): the notebooks run with your rights and can read and change your files."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m d2lstab.course.grade", description=__doc__.split("\n\n", 1)[0]
    )
    default = Limits()
    parser.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help="a folder, or a file")
    parser.add_argument("--output", type=Path, required=True, help="the table, grades.csv")
    parser.add_argument("--workers", type=_positive, default=2, help="notebooks at a time (2)")
    parser.add_argument(
        *("--timeout", "-t"),
        type=_positive,
        default=default.seconds,
        help=f"seconds for one notebook ({default.seconds:g})",
    )
    parser.add_argument(
        *("--memory", "-m"),
        type=_positive,
        default=default.memory,
        help=f"MB for one notebook ({default.memory})",
    )
    parser.add_argument("--lesson", metavar="NN", help="all are of this lesson; else recognized")
    parser.add_argument(
        "--notebooks", type=Path, default=NOTEBOOKS, help="the notebooks that were handed out"
    )
    parser.add_argument(
        "--unsafe-without-sandbox",
        action="store_true",
        help="where no sandbox works, run the notebooks with your own rights",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _sandboxed(may_go_without: bool) -> bool | None:
    """Whether to use the sandbox; None where there is none and nobody allowed to go on."""
    problem = sandbox_problem(Limits())
    if not problem:
        return True
    text = _WITHOUT if may_go_without else _NO_SANDBOX
    advice = _ELSEWHERE if shutil.which("bwrap") else _INSTALL
    print(text.format(problem=problem, advice=advice), file=sys.stderr)
    return False if may_go_without else None


def main(arguments: list[str] | None = None) -> int:
    """Grade what the command line names; 0 if every notebook has its row now."""
    options = _parser().parse_args(arguments)
    if not options.submissions.exists():
        print(
            f"SUBMISSIONS must be a folder, got {options.submissions}: there is none",
            file=sys.stderr,
        )
        return 2
    if options.output.is_dir() or not options.output.parent.is_dir():
        print(
            f"--output must be a file in a folder that exists, got {options.output}: "
            "make the folder, or choose another file",
            file=sys.stderr,
        )
        return 2
    if options.memory < _LEAST_MEMORY:
        print(
            f"--memory must be at least {_LEAST_MEMORY}, got {options.memory}: "
            "Python and torch alone need some 300 MB",
            file=sys.stderr,
        )
        return 2
    is_folder = options.submissions.is_dir()
    folder = options.submissions if is_folder else options.submissions.parent
    paths = find_submissions(folder) if is_folder else [options.submissions]
    if not paths:
        print(f"no notebook (*.ipynb) lies in {folder}", file=sys.stderr)
        return 2
    limits = Limits(seconds=options.timeout, memory=options.memory)
    try:
        lessons = known_lessons(options.notebooks.resolve(), options.lesson)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    safe = _sandboxed(options.unsafe_without_sandbox)
    if safe is None:
        return 2
    others = other_files(folder) if is_folder else []
    if others:
        first = ", ".join(one_line(path.name) for path in others[:5])
        names = first + (", ..." if len(others) > 5 else "")
        print(f"{len(others)} other files are left out: {names}", file=sys.stderr)
    classroom = Classroom(folder, lessons, limits, safe)
    try:
        return grade_all(classroom, paths, options.output, options.workers)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
