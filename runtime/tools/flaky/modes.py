"""The ways in which a tool can misbehave, and which of them one request meets."""

from __future__ import annotations

import re
from hashlib import sha256

OK = "ok"
WORDS = {
    "down": "503 on every request",
    "slow": "no headers until long after anybody waits",
    "slow_body": "headers at once, then a byte now and then",
    "reset": "the connection is reset once the request was read",
    "rate_limited": "429 with Retry-After",
    "server_error": "500 on every request",
    "refused": "404 on every request",
    "bad_json": "200 with half a JSON object",
    "bad_schema": "200 with JSON of another shape",
    "huge": "200 with a body that hardly ends",
    "redirect": "307 to a private address",
}
FAILING = tuple(WORDS)
MODES = (OK, *FAILING)

_RANDOM = re.compile(r"random:(0(?:\.\d+)?|1(?:\.0+)?|\.\d+)(?::(\w{1,40}))?")


class UnknownMode(ValueError):
    """A mode that is none; the message says which there are."""


def check_mode(text: str) -> str:
    """The mode as given. Raises UnknownMode if it is neither of MODES nor `random:P` or `random:P:seed`."""
    if text in MODES or _RANDOM.fullmatch(text):
        return text
    known = ", ".join(MODES)
    raise UnknownMode(f"{text[:40]!r} is no mode; use {known}, or random:P[:seed] with P from 0 to 1.")


def mode_of_request(mode: str, tool: str, key: str, seen: int) -> str:
    """Which of MODES one request meets, the `seen`th (from 1) with its Idempotency-Key.

    Under `random:P:seed` a share P of requests fails. Which ones, and in which order a key goes through the failing
    modes, is drawn from seed, tool, key and `seen`: the same requests fail in every run, whatever the order in which
    they come, and a second attempt may succeed where the first did not.
    """
    drawn = _RANDOM.fullmatch(mode)
    if drawn is None:
        return mode
    seed = drawn[2] or ""
    share = _draw(seed, tool, key, str(seen))
    if share >= float(drawn[1]):
        return OK
    order = sorted(FAILING, key=lambda failing: _draw(seed, tool, key, failing))
    return order[(seen - 1) % len(order)]


def _draw(*parts: str) -> float:
    """A number from 0 to below 1 that depends on `parts` alone."""
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:6]) / 2**48
