import base64
import struct
import sys

import ipywidgets
import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from d2lstab.widgets import Explorer
from d2lstab.widgets.knobs import knob

VIEW = "application/vnd.jupyter.widget-view+json"


def line(ax, slope=1.0, points=4, color="blue"):
    if points == 7:
        raise ArithmeticError("<seven> is out")
    ax.plot(range(points), [slope * k for k in range(points)], color=color)


KNOBS = {"slope": (-2.0, 2.0, 0.5), "points": (2, 9), "color": ["blue", "red"]}


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.fixture
def explorer():
    return Explorer(line, KNOBS, alt="A line that rises.")


def test_each_knob_changes_the_picture_and_brings_it_back(explorer):
    first = bytes(explorer.image.value)
    for name, value in {"slope": -1.0, "points": 9, "color": "red"}.items():
        before = explorer.knobs[name].value
        explorer.knobs[name].value = value
        assert bytes(explorer.image.value) != first
        explorer.knobs[name].value = before
        assert bytes(explorer.image.value) == first


def test_knobs_start_at_the_functions_defaults(explorer):
    values = {name: widget.value for name, widget in explorer.knobs.items()}
    assert values == {"slope": 1.0, "points": 4, "color": "blue"}


def test_the_bundle_carries_the_widget_and_the_first_state_whatever_the_knobs_say(explorer):
    before = explorer._repr_mimebundle_()
    explorer.knobs["slope"].value = -2.0
    data, metadata = explorer._repr_mimebundle_()
    assert (data, metadata) == before
    assert set(data) == {VIEW, "image/png", "text/plain"}
    assert size(base64.b64decode(data["image/png"])) == (1036, 518)
    assert data["text/plain"] == "Explorer(slope, points, color): A line that rises."
    assert metadata == {"image/png": {"alt": "A line that rises.", "width": 720}}
    assert repr(explorer) == "Explorer(slope, points, color)"


def test_it_is_a_box_of_its_knobs_and_a_picture_and_nothing_that_captures_output(explorer):
    assert isinstance(explorer, ipywidgets.VBox)
    kinds = [type(child) for child in explorer.children]
    assert kinds[3:] == [ipywidgets.Image, ipywidgets.HTML, ipywidgets.HTML]
    assert explorer.children[:3] == tuple(explorer.knobs.values())
    assert explorer.image.tooltip is None  # JupyterLab's view of an Image fails on one
    assert "A line that rises." in explorer.children[4].value


def test_an_error_while_drawing_is_a_sentence_and_goes_away(explorer):
    shown = bytes(explorer.image.value)
    explorer.knobs["points"].value = 7
    assert "points = 7" in explorer.message.value
    assert "ArithmeticError: &lt;seven&gt; is out" in explorer.message.value
    assert bytes(explorer.image.value) == shown
    explorer.knobs["points"].value = 5
    assert explorer.message.value == ""
    assert bytes(explorer.image.value) != shown


def test_an_error_in_the_first_state_is_raised():
    with pytest.raises(ArithmeticError):
        Explorer(lambda ax, points=7: line(ax, points=points), {"points": (2, 9)})


def test_several_axes_and_another_size():
    def two(axes, n=2):
        for ax in axes:
            ax.plot(range(n))

    explorer = Explorer(two, {"n": (1, 5)}, axes=(1, 2), size=(5.0, 2.0))
    assert size(bytes(explorer.image.value)) == (720, 288)
    assert explorer.image.width == "500"


def test_a_function_of_the_knobs_alone_returns_a_figure():
    def whole(n=2):
        fig = Figure(figsize=(3, 2))
        fig.subplots().plot(range(n))
        return fig

    explorer = Explorer(whole, {"n": (1, 5)})
    first = bytes(explorer.image.value)
    assert size(first) == (432, 288)
    explorer.knobs["n"].value = 5
    assert bytes(explorer.image.value) != first


def test_nothing_is_left_in_pyplot_or_in_the_settings():
    import matplotlib.pyplot as plt

    def whole(n=2):
        fig, ax = plt.subplots()
        ax.plot(range(n))
        return fig

    before = dict(mpl.rcParams)
    explorer = Explorer(whole, {"n": (1, 5)})
    Explorer(line, KNOBS)
    explorer.knobs["n"].value = 3
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" in sys.modules


@pytest.mark.parametrize(
    ("draw", "knobs", "error", "message"),
    [
        (line, {}, ValueError, "knobs must be one to 3 knobs, got 0"),
        (lambda ax, **_: None, dict.fromkeys("abcd", (0, 1)), ValueError, "one to 3 knobs, got 4"),
        (
            line,
            {"slop": (0, 1)},
            ValueError,
            "parameters of draw, got 'slop': draw takes ax, slope",
        ),
        (line, [("slope", (0, 1))], TypeError, "knobs must be a mapping"),
        ("line", {"slope": (0, 1)}, TypeError, "draw must be a function"),
        (lambda n=1: None, {"n": (0, 2)}, TypeError, "must return a Figure .* got NoneType"),
        (line, {"slope": (2.0, 3.0)}, ValueError, "slope must start between 2.0 and 3.0, got 1.0"),
        (line, {"color": ["red", "green"]}, ValueError, "color must start at one of"),
    ],
)
def test_bad_explorers_are_refused(draw, knobs, error, message):
    with pytest.raises(error, match=message):
        Explorer(draw, knobs)


def test_an_alternative_text_is_a_string():
    with pytest.raises(TypeError, match="alt must be a string"):
        Explorer(line, KNOBS, alt=3)


@pytest.mark.parametrize(
    ("specification", "value", "kind", "start"),
    [
        ((1, 9), None, ipywidgets.IntSlider, 1),
        ((1, 9, 2), 3, ipywidgets.IntSlider, 3),
        ((0.0, 1.0), 0.5, ipywidgets.FloatSlider, 0.5),
        ((0, 1, 0.25), None, ipywidgets.FloatSlider, 0.0),
        ([1, 10, 100], 10, ipywidgets.SelectionSlider, 10),
        (["a", "b"], None, ipywidgets.Dropdown, "a"),
        ([True, False], None, ipywidgets.Dropdown, True),
    ],
)
def test_a_specification_becomes_the_fitting_widget(specification, value, kind, start):
    made = knob("learning_rate", specification, value)
    assert (type(made), made.value, made.description) == (kind, start, "learning rate")
    assert getattr(made, "continuous_update", False) is False


def test_a_widget_is_taken_as_it_is():
    widget = ipywidgets.Checkbox()
    assert knob("x", widget, True) is widget


@pytest.mark.parametrize(
    ("specification", "error"),
    [
        ((1,), TypeError),
        ((1, 2, 3, 4), TypeError),
        (("a", "b"), TypeError),
        ((True, False), TypeError),
        ((2, 1), ValueError),
        ((1, 1), ValueError),
        ((0, 1, 0), ValueError),
        ((0.0, float("nan")), ValueError),
        ((0.0, float("inf")), ValueError),
        ((0.0, 1.0, float("nan")), ValueError),
        ([], ValueError),
        (["only"], ValueError),
        ("ab", TypeError),
        (3, TypeError),
        (None, TypeError),
        (ipywidgets.Layout(), TypeError),
    ],
)
def test_a_bad_specification_is_refused_by_name(specification, error):
    with pytest.raises(error, match=r"knob depth must .*: pass"):
        knob("depth", specification)
