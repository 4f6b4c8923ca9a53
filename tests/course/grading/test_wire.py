import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.course.diagnosis import Failure, diagnose, outcomes
from d2lstab.course.exercises import exercise, exercise_ids
from d2lstab.course.grading.wire import (
    DTYPES,
    MalformedError,
    Opaque,
    decode,
    encode,
    pack,
    unpack,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)


def there_and_back(value):
    return decode(unpack(pack({"value": encode(value)}))["value"])


def same(a, b):
    """Equal in value and type, NaN included."""
    return repr(a) == repr(b)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(PLAIN)
def test_plain_data_come_back_as_they_went(value):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_tensors_come_back_bit_for_bit(dtype):
    values = torch.tensor([[0, 1, 3], [1, 0, 1]]).to(dtype)
    if dtype.is_floating_point:
        values[0] = torch.tensor([math.nan, -math.inf, 0.1], dtype=torch.float64).to(dtype)
    back = there_and_back(values)
    assert back.dtype == dtype
    assert back.shape == values.shape
    assert torch.equal(back.nan_to_num(7.0), values.nan_to_num(7.0))
    assert there_and_back(torch.zeros(2, 0, dtype=dtype)).shape == (2, 0)


@pytest.mark.parametrize("id", exercise_ids())
def test_every_exercise_survives_the_journey(id):
    task = exercise(id)
    inputs = [there_and_back(arguments) for arguments in task.inputs]
    for function, kind in [
        (task.reference, "right"),
        *((mistake.function, "known mistake") for mistake in task.mistakes),
    ]:
        results = [there_and_back(result) for result in outcomes(function, inputs)]
        assert diagnose(task, results).kind == kind


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (10**30, "int"),
        (1j, "complex"),
        (torch.zeros(1, dtype=torch.complex64), "Tensor"),
        ({1, 2}, "set"),
        (len, "builtin_function_or_method"),
    ],
)
def test_what_does_not_travel_keeps_its_name(value, name):
    back = there_and_back(value)
    assert isinstance(back, Opaque)
    assert type(back).__name__ == name
    assert back != value


def test_failures_and_numbers_of_numpy_travel():
    failure = there_and_back(Failure("ValueError", "no"))
    assert failure == Failure("ValueError", "no")
    assert there_and_back(np.float64(1.5)) == 1.5
    assert there_and_back(np.int64(3)) == 3
    assert there_and_back(torch.float32) is torch.float32


def test_depth_and_size_are_bounded():
    value = []
    for _ in range(200):
        value = [value]
    text = json.dumps(encode(value))
    assert "opaque" in text
    assert len(text) < 200
    assert encode([0] * 2_000_000) == {"opaque": "list"}
    assert len(encode("x" * 10**6)) == 10_000


@pytest.mark.parametrize(
    "value",
    [
        2**70,
        {"tensor": ["float64", [2], [1.0]]},
        {"tensor": ["float64", [-1, -1], [1.0]]},
        {"tensor": ["float64", [10**12], []]},
        {"tensor": ["float64", [1], [[1.0]]]},
        {"tensor": ["int64", [1], [2**200]]},
        {"tensor": ["object", [1], [1.0]]},
        {"tensor": ["int8", [1], [1000]]},
        {"tensor": 3},
        {"float": "one"},
        {"dict": [[[], 1]]},
        {"dict": [1]},
        {"failure": ["a"]},
        {"reduce": "os.system"},
        {"a": 1, "b": 2},
        {},
        [[[{"float": 3}]]],
    ],
)
def test_what_encode_does_not_write_is_refused(value):
    with pytest.raises(MalformedError):
        decode(value)


@pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"3", b"[" * 10**5, b"9" * 10**4, b'{"a"'])
def test_a_line_that_is_no_message_is_refused(line):
    with pytest.raises(MalformedError):
        unpack(line)


def test_deep_values_are_refused_without_recursion():
    value = 1
    for _ in range(60):
        value = [value]
    with pytest.raises(MalformedError, match="deeply"):
        decode(value)
