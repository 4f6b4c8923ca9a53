"""Grading of notebooks that students hand in; nothing else in the package depends on it.

Two processes share the work. The sandboxed one (`runner`) executes a student's
notebook and maps inputs to outputs for the functions written there; it knows no
reference, no mistake and no points, and whatever it says is taken for an output of
the student. The grader's own process (everything else) judges those outputs.
"""

import sys

if sys.platform == "win32":
    raise ImportError(
        "grading needs Linux (or macOS, without the sandbox), got Windows: "
        "use the Windows Subsystem for Linux, or another machine"
    )
