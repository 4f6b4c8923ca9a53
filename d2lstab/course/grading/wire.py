"""Plain data as JSON text: what may cross the border between the sandbox and the grader.

Numbers, words, None, lists, dictionaries and tensors (nested in each other) travel;
everything else arrives as an `Opaque` of the same class name, equal to nothing.
NaN and infinities travel as words, tensors as dtype, shape and a flat list.
"""

import fcntl
import json
import math
import numbers
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import torch
from torch import Tensor

from d2lstab.course.diagnosis import Failure

__all__ = ["MalformedError", "Opaque", "decode", "encode", "pack", "sealed", "unpack"]

DEPTH = 24  # nested lists and dictionaries
ENTRIES = 1_000_000  # numbers in one value
WORD = 10_000  # characters of one string
LISTS = 200_000  # lists and dictionaries in one message: an empty one takes 60 bytes of memory
INTEGER = 2**63  # larger integers arrive as opaque: their digits alone could fill a disk
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    )
}


class MalformedError(ValueError):
    """What came over the wire is not what `encode` writes."""


class Opaque:
    """The base of stand-ins for values that do not travel."""


def _opaque(name: str) -> dict[str, object]:
    return {"opaque": name[:60]}


def _number(value: float) -> object:
    return value if math.isfinite(value) else {"float": str(value)}


def _tensor(value: Tensor) -> dict[str, object]:
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES or value.numel() > ENTRIES or value.layout != torch.strided:
        return _opaque("Tensor")
    flat = value.detach().cpu().flatten()
    entries = flat.double().tolist() if flat.is_floating_point() else flat.tolist()
    numbers_ = [x if isinstance(x, int) or math.isfinite(x) else str(x) for x in entries]
    return {"tensor": [name, list(value.shape), numbers_]}


def encode(value: object, depth: int = 0) -> object:
    """The value as what `json` can write; never raises for what it does not know."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[:WORD] if type(value) is str else _opaque(type(value).__name__)
    if isinstance(value, numbers.Integral):
        return int(value) if -INTEGER <= int(value) < INTEGER else _opaque("int")
    if isinstance(value, numbers.Real):
        return _number(float(value))
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, Failure):
        return {"failure": [value.kind[:60], value.message[:200]]}
    if depth < DEPTH and isinstance(value, list | tuple) and len(value) <= ENTRIES:
        items = [encode(item, depth + 1) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if depth < DEPTH and isinstance(value, Mapping) and len(value) <= ENTRIES:
        pairs = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]
        return {"dict": pairs}
    return _opaque(type(value).__name__)


def _decoded_tensor(content: Any) -> Tensor:
    name, shape, entries = content
    sizes = [n for n in shape if type(n) is int and n >= 0]
    if len(sizes) != len(shape) or len(sizes) > 8 or math.prod(sizes) != len(entries):
        raise MalformedError("a tensor's shape must match its entries")
    flat = [float(x) if isinstance(x, str) else x for x in entries]
    if not all(isinstance(x, int | float) for x in flat):
        raise MalformedError("a tensor must hold numbers")
    return torch.tensor(flat, dtype=DTYPES[name]).reshape(sizes)


def _tagged(kind: str, content: Any, depth: int) -> object:
    if kind == "float":
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[str(content)]
    if kind == "tensor":
        return _decoded_tensor(content)
    if kind == "dtype":
        return DTYPES[str(content)]
    if kind == "opaque":
        name = "".join(c for c in str(content) if c.isalnum() or c == "_")[:60] or "object"
        return type(name, (Opaque,), {})()
    if kind == "failure":
        error, message = content
        return Failure(str(error)[:60], str(message)[:200])
    if kind == "tuple" and isinstance(content, list):
        return tuple(decode(item, depth + 1) for item in content)
    if kind == "dict" and isinstance(content, list):
        return {decode(k, depth + 1): decode(v, depth + 1) for k, v in content}
    raise MalformedError(f"no such kind of value: {kind[:60]}")


def decode(value: object, depth: int = 0) -> object:
    """The value that was encoded.

    Raises:
        MalformedError: it was not written by `encode`.

    >>> decode(encode({"mean": [1.5, float("inf")], "on": True}))
    {'mean': [1.5, inf], 'on': True}
    """
    if depth > DEPTH + 1:
        raise MalformedError("nested too deeply")
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        if not -INTEGER <= value < INTEGER:
            raise MalformedError("an integer of more than 64 bits")
        return value
    if isinstance(value, list):
        return [decode(item, depth + 1) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((kind, content),) = value.items()
        try:
            return _tagged(kind, content, depth)
        except (TypeError, ValueError, KeyError, OverflowError, RuntimeError) as error:
            raise MalformedError(str(error)[:200]) from error
    raise MalformedError(f"no value: {type(value).__name__}")


@contextmanager
def sealed(request: bytes) -> Iterator[IO[bytes]]:
    """A file that holds the request, ready to be read, and that nobody can write to.

    Whoever inherits a plain file can open it again for writing, and would fill a disk.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.write(request)
            file.seek(0)
            yield file
        return
    flags = os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC
    with open(os.memfd_create("request", flags), "w+b") as file:
        file.write(request)
        file.seek(0)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
        yield file


def pack(message: object) -> bytes:
    """One line of JSON; only ASCII, so that a line break ends it."""
    return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"


def unpack(line: bytes) -> dict[str, object]:
    """The message of one line.

    Raises:
        MalformedError: the line is not one JSON object, holds too many lists, or is nested
            too deeply.
    """
    if line.count(b"[") + line.count(b"{") > LISTS:
        raise MalformedError(f"more than {LISTS} lists in one message")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError(str(error)[:200]) from error
    if not isinstance(message, dict):
        raise MalformedError("a message must be an object")
    return message
