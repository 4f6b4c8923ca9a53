"""The page for instructors: its exercise works, and it names every option of the command."""

import re
from pathlib import Path

from d2lstab.course import grade
from d2lstab.course.diagnosis import diagnose, outcomes

PAGE = (Path(__file__).parents[3] / "docs" / "instructors.md").read_text(encoding="utf-8")


def test_the_exercise_of_the_page_works():
    record, cell = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space = {}
    exec(record, space)
    task = space["DOUBLE"]
    exec(task.solution, space)
    assert diagnose(task, outcomes(space["double"], task.inputs)).right
    for mistake in task.mistakes:
        verdict = diagnose(task, outcomes(mistake.function, task.inputs))
        assert verdict.kind == "known mistake"
        assert mistake.sentence in verdict.text
    assert f'check("{task.id}", double)' in cell


def test_every_option_is_described():
    options = [o for action in grade._parser()._actions for o in action.option_strings]
    long = {o for o in options if o.startswith("--")} - {"--help"}
    assert long
    assert not {o for o in long if o not in PAGE}
