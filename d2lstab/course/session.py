"""The start of a notebook: seeds, threads and the style of its figures."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from d2lstab.arguments import natural_number, positive_integer

__all__ = ["derived_seed", "seeded", "start"]

_session: dict[str, int] = {}


def derived_seed(seed: int, name: str) -> int:
    """A 63-bit seed that depends on the notebook's seed and on the experiment's name.

    The first eight bytes of SHA-256 of ``"seed:name"``, so that experiments are
    independent of each other and of the order in which cells are run.

    >>> derived_seed(1, "a") != derived_seed(1, "b") != derived_seed(2, "b")
    True
    """
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"name must be a non-empty string, got {name!r}: name the experiment, "
            'as in generator("products of matrices")'
        )
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def start(seed: int) -> Callable[[str], torch.Generator]:
    """Begin a notebook and return `generator(name)`, the source of all its randomness.

    This is the only function of the package that sets global state: the number of
    threads of torch and of the linear algebra under numpy and scipy (environment
    variable ``D2LSTAB_THREADS``, 1 unless told) and the style of the figures.

    Args:
        seed: an integer of at least 0, the notebook's own.

    Returns:
        A function from a name to a fresh `torch.Generator` on the CPU. Equal names
        give equal streams, so any cell can be run again alone with the same result.

    Raises:
        TypeError, ValueError: the seed is not an integer of at least 0, a name is
            empty, or ``D2LSTAB_THREADS`` is not a positive integer.

    >>> generator = start(1)
    >>> first, again = generator("weights"), generator("weights")
    >>> bool(torch.randn(3, generator=first).equal(torch.randn(3, generator=again)))
    True
    """
    from d2lstab.plots import style

    seed = natural_number(seed, "seed", "pass the notebook's number, for example")
    threads = os.environ.get("D2LSTAB_THREADS", "1")
    advice = "set the environment variable to the number of CPU threads, or unset it"
    if not threads.isdigit():
        raise ValueError(f"D2LSTAB_THREADS must be a positive integer, got {threads!r}: {advice}")
    count = positive_integer(int(threads), "D2LSTAB_THREADS", advice)
    torch.set_num_threads(count)
    # numpy's threads wait for each other even on small vectors: on two busy cores, 100 times
    # what the sum itself takes
    threadpool_limits(count, user_api="blas")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", threads)  # scipy's is loaded when it is needed
    style.apply()
    _session["seed"] = seed

    def generator(name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derived_seed(seed, name))

    return generator


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """Run other people's code that draws from the global random numbers, and restore them.

    Inside the block the global generators of torch, numpy and Python are seeded from
    the notebook's seed and `name`; afterwards, also after an exception, each is back
    in the state in which it was.

    Raises:
        RuntimeError: `start` has not been called.
        ValueError: the name is empty.
    """
    if "seed" not in _session:
        raise RuntimeError(
            "seeded() needs the notebook's seed, got none: call generator = start(seed) first"
        )
    seed = derived_seed(_session["seed"], name)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            torch.random.default_generator.manual_seed(seed)
            for device in range(torch.cuda.device_count()):
                torch.cuda.default_generators[device].manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
