"""The timeline on a page of its own: what its address asks for, the drawing, and the links to what lies beside it."""

from __future__ import annotations

from typing import Any

from converge_site.fragments.moment import Moment
from converge_site.fragments.timeline import Timeline, Window, read_timeline
from runtime.models import Job


def read_window(job: Job, query: dict[str, str]) -> Window:
    """The window that an address asks for."""
    return Window.from_query(query, [agent["name"] for agent in job.frozen_spec()["agents"]])


def timeline_context(job: Job, moment: Moment | None, window: Window) -> dict[str, Any]:
    """The drawing and the links to what lies beside it."""
    read = read_timeline(job, moment, window)
    return {"timeline": read, "links": _links(read, moment)}


def _links(read: Timeline, moment: Moment | None) -> list[dict[str, str]]:
    window = read.window
    wanted: list[tuple[str, str]] = []
    if read.earlier is not None:
        wanted.append(("Earlier cycles", window.query(**{"from": read.earlier})))
    if read.later is not None:
        wanted.append(("Later cycles", window.query(**{"from": read.later})))
        wanted.append(("Latest cycles", window.query(**{"from": None})))
    if window.row and not window.agent:
        wanted.append(("Agents before", window.query(row=max(0, window.row - window.rows))))
    if read.next_row is not None:
        wanted.append(("More agents", window.query(row=read.next_row)))
    then = moment.query if moment else ""
    return [{"text": text, "href": "?" + "&".join(filter(None, [query, then]))} for text, query in wanted]
