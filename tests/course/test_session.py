import random

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController

from d2lstab.course import seeded, start
from d2lstab.course.session import derived_seed


def draw(generator):
    return torch.rand(4, generator=generator).tolist()


def test_equal_names_give_equal_streams_and_others_differ():
    generator = start(7)
    assert draw(generator("a")) == draw(generator("a"))
    assert draw(generator("a")) != draw(generator("b"))
    assert draw(start(8)("a")) != draw(start(7)("a"))


def test_the_derived_seed_is_pinned_so_that_stored_outputs_stay():
    # the first 63 bits of: printf '1:weights' | sha256sum
    assert derived_seed(1, "weights") == 1375928715667752225


def test_the_global_generators_are_untouched_by_start_and_its_generators():
    before = torch.random.get_rng_state()
    start(3)("a")
    assert torch.equal(before, torch.random.get_rng_state())


def test_seeded_repeats_and_restores_all_three_generators():
    start(5)
    torch_before = torch.random.get_rng_state()
    numpy_before, python_before = np.random.get_state()[1].copy(), random.getstate()
    with seeded("other"):
        first = (torch.rand(2).tolist(), np.random.rand(), random.random())
    with seeded("other"):
        again = (torch.rand(2).tolist(), np.random.rand(), random.random())
    with seeded("another"):
        different = (torch.rand(2).tolist(), np.random.rand(), random.random())
    assert first == again != different
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])
    assert python_before == random.getstate()


def test_seeded_restores_after_an_exception():
    start(5)
    before = torch.random.get_rng_state()

    def fails():
        with seeded("other"):
            torch.rand(3)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert torch.equal(before, torch.random.get_rng_state())


def test_seeded_asks_for_start(monkeypatch):
    monkeypatch.setattr("d2lstab.course.session._session", {})
    with pytest.raises(RuntimeError, match="start"), seeded("other"):
        pass


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        start(seed)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="name must be"):
        start(1)(name)


def test_the_number_of_threads_follows_the_environment(monkeypatch):
    before = torch.get_num_threads()
    blas = ThreadpoolController().select(user_api="blas")
    for count in (2, 1):
        monkeypatch.setenv("D2LSTAB_THREADS", str(count))
        start(1)
        assert torch.get_num_threads() == count
        assert {library["num_threads"] for library in blas.info()} == {count}
    for bad in ("0", "many", "-1", ""):
        monkeypatch.setenv("D2LSTAB_THREADS", bad)
        with pytest.raises(ValueError, match="D2LSTAB_THREADS must be"):
            start(1)
    torch.set_num_threads(before)
