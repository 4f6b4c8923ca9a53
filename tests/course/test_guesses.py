import math

import pytest

from d2lstab.course import answer, guess


def test_an_open_guess_and_its_answer_are_the_same_on_every_run(capsys):
    guess("t-1", ...)
    answer("t-1", 24.23)
    out = capsys.readouterr().out
    assert out.startswith("No guess yet")
    assert out.endswith("Answer: 24 (no guess was made)\n")


def test_a_guess_is_set_beside_the_answer(capsys):
    guess("t-2", 12)
    answer("t-2", 24.0)
    assert "Your guess: 12, a factor of 2 away" in capsys.readouterr().out
    guess("t-2", 0)
    answer("t-2", -3.0)
    assert "Your guess: 0, 3 away" in capsys.readouterr().out


def test_infinity_is_a_guess_too(capsys):
    guess("t-6", math.inf)
    answer("t-6", math.inf)
    answer("t-6", 3.0)
    out = capsys.readouterr().out
    assert "Answer: inf. Your guess: inf, the same\n" in out
    assert "Answer: 3. Your guess: inf\n" in out


def test_words_are_compared_without_their_case(capsys):
    guess("t-3", "Saddle")
    answer("t-3", "saddle")
    assert "Your guess: Saddle, the same" in capsys.readouterr().out


def test_a_guess_can_be_taken_back(capsys):
    guess("t-4", 1)
    guess("t-4", ...)
    answer("t-4", 1.0)
    assert "no guess was made" in capsys.readouterr().out


@pytest.mark.parametrize("value", [math.nan, [1], True, "", object()])
def test_what_is_no_guess_is_refused(value):
    with pytest.raises(TypeError, match="a guess must be"):
        guess("t-5", value)
