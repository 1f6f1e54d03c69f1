"""JSON at the edge: canonical bytes, equality and bounds (D3, D6.2).

Two values are equal exactly when their canonical bytes are. 1 and 1.0 are one number, so are -0.0 and 0; true is not 1.
What has no canonical form (NaN, infinities, lone surrogates, integers beyond 64 bits, keys that are not strings) is
refused here and nowhere else.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MAX_VALUE_BYTES = 64 * 1024
MAX_DEPTH = 24
MAX_NODES = 10_000
MAX_NAME = 500
MAX_KEY = 100
THOUSAND = 1000

_CANONICAL = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_QUOTED = re.compile(r'["\\]')
_INT_FLOOR, _INT_CEILING = -(2**63), 2**64
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an escape of its own, not part of an escaped backslash


class BoundsError(ValueError):
    """Something at the edge is not JSON as Converge takes it, or is too large. The message is for people."""


def canonical(value: Any, limit: int = MAX_VALUE_BYTES) -> bytes:
    """The canonical JSON of `value`: keys sorted, no white space, numbers in one form.

    Raises BoundsError if it is not JSON, deeper than 24, wider than 10,000 nodes or longer than `limit` bytes.
    """
    kind = type(value)
    if kind is int and _INT_FLOOR <= value < _INT_CEILING:
        return b"%d" % value
    if (
        kind is str
        and len(value) < 100
        and value.isascii()
        and value.isprintable()
        and not _QUOTED.search(value)
    ):
        return f'"{value}"'.encode()
    if kind is float or kind is dict or kind is list or kind is tuple or kind is int:
        value = _clean(value, MAX_DEPTH, [MAX_NODES])
    try:
        raw = orjson.dumps(value, option=_CANONICAL)
    except (TypeError, ValueError) as error:
        raise BoundsError(_plainly(error, value)) from None
    if len(raw) > limit:
        raise BoundsError(f"is {len(raw):,} bytes of JSON; the limit is {limit:,}")
    if b"\\u0000" in raw and _NUL.search(raw):
        raise BoundsError("holds a NUL character, which PostgreSQL cannot keep")
    return b"%b" % raw  # see log.py: a copy is cheaper than a shrunk buffer


def _plainly(error: Exception, value: Any) -> str:
    text = str(error)
    if "surrogate" in text or "UTF-8" in text:
        return "holds a lone surrogate, which is no Unicode text"
    return f"is not JSON: a {type(value).__name__} cannot be written ({text})"


def _clean(value: Any, depth: int, room: list[int]) -> Any:
    """`value` with every number in its one form; a copy where anything could be changed."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is float:
        return _clean_float(value)
    if kind is int:
        if not _INT_FLOOR <= value < _INT_CEILING:
            raise BoundsError("holds an integer beyond 64 bits; write it as a string")
        return value
    room[0] -= 1 if kind is not dict and kind is not list and kind is not tuple else len(value)
    if room[0] < 0:
        raise BoundsError(f"has more than {MAX_NODES:,} parts")
    if depth == 0:
        raise BoundsError(f"is nested more than {MAX_DEPTH} deep")
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise BoundsError(f"has the object key {key!r}, which is not a string")
        return {k: _clean(v, depth - 1, room) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [_clean(v, depth - 1, room) for v in value]
    raise BoundsError(f"holds a {kind.__name__}, which is not JSON")


def _clean_float(value: float) -> int | float:
    if value != value or value in (float("inf"), float("-inf")):
        raise BoundsError("holds NaN or an infinity, which JSON does not have")
    if value.is_integer() and _INT_FLOOR <= value < _INT_CEILING:
        return int(value)
    return value


def parse(raw: bytes) -> Any:
    """The value of canonical bytes: a fresh copy each time, so nobody's change reaches the engine."""
    return orjson.loads(raw)


def thousandths(confidence: Any) -> int:
    """A confidence 0..1 as thousandths. Raises BoundsError outside that range or if it is no number."""
    if type(confidence) is not float and type(confidence) is not int:
        raise BoundsError(f"confidence is {confidence!r}; it must be a number from 0 to 1")
    if not 0 <= confidence <= 1:
        raise BoundsError(f"confidence is {confidence!r}; it must lie between 0 and 1")
    return round(confidence * THOUSAND)


def check_name(what: str, name: Any, limit: int = MAX_NAME) -> None:
    """Refuses a key or subject that is no non-empty string of at most `limit` characters, or has control characters."""
    if type(name) is not str or not name:
        raise BoundsError(f"{what} is {name!r}; it must be a non-empty string")
    if len(name) > limit:
        raise BoundsError(f"{what} is {len(name):,} characters long; the limit is {limit}")
    if not name.isprintable():
        raise BoundsError(f"{what} {name!r} holds a character that cannot be printed")


def load_json(text: str | bytes, limit: int) -> Any:
    """Strict JSON from outside: no duplicate keys, no NaN, no 1e999, at most `limit` bytes, checked before parsing.

    Raises BoundsError with the line where the parser stopped.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > limit:
        raise BoundsError(f"is {len(data):,} bytes; the limit is {limit:,}")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constants,
            parse_float=_finite,
            parse_int=_short_integer,
        )
    except UnicodeDecodeError as error:
        raise BoundsError(f"is not UTF-8 text: byte {error.start} cannot be read") from None
    except json.JSONDecodeError as error:
        raise BoundsError(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise BoundsError(f"is nested more than {MAX_DEPTH} deep") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise BoundsError(f"has the key {twice!r} twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BoundsError(f"holds {text[:20]}, which is beyond any number JSON readers can hold")
    return number


def _short_integer(text: str) -> int:
    if len(text) > 20 or not _INT_FLOOR <= int(text) < _INT_CEILING:
        raise BoundsError("holds an integer beyond 64 bits; write it as a string")
    return int(text)


def _no_constants(name: str) -> Any:
    raise BoundsError(f"holds {name}, which JSON does not have")
