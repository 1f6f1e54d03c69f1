"""What goes over the socket, as text.

A job's frame is `{"after": a, "to": b, "html": ...}`: what a viewer whose last entry is `a` lacks to be at `b`. With
`"reset": true` the viewer drops its rows first: too much had been missed to send. A frame without `to` changes panels
that have no cursor. `{"ping": 1}` says only that the line is alive; with `"late": true`, that the server itself cannot
see what is new.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

PING = '{"ping":1}'
LATE_PING = '{"ping":1,"late":true}'
ROWS = '<div data-rows="journal-rows">'


def frame(html: str) -> str:
    """Panels without a cursor."""
    return orjson.dumps({"html": html}).decode()


def job_frame(after: int, to: int, rows: Iterable[str], panels: str, reset: bool = False) -> str:
    """New journal rows and changed panels of a job."""
    joined = "".join(rows)
    html = (f"{ROWS}{joined}</div>" if joined else "") + panels
    body: dict[str, object] = {"after": after, "to": to, "html": html}
    if reset:
        body["reset"] = True
    return orjson.dumps(body).decode()
