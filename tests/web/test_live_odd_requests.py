"""What strangers and broken browsers send to the sockets: it ends their own connection at most."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings

from converge_site.asgi import application
from converge_site.live import consumers
from converge_site.live.hub import close_hub
from converge_site.live.topics import PageTopic
from tests.web.lines import ORIGIN, closed, next_frame, prepare, socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _hub() -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(close_hub)


@pytest.mark.parametrize("text", ["not json", "[1]", "7", '"x"', "{" * 5000])
async def test_what_makes_no_sense_ends_the_connection(text: str) -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=text)
    assert (await line.receive_output(timeout=5))["code"] == consumers.MAKES_NO_SENSE


@pytest.mark.parametrize("after", ["x", -1, 1.5, None, True, 10**30])
async def test_a_cursor_that_makes_no_sense_harms_nobody(after: Any) -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"after": after}))
    frame = await next_frame(line, "panel-header")
    assert frame["to"] == job.entries
    await line.disconnect()


UNREADABLE = {"too many fields": "&" * 1990, "NUL": "q=a%00b", "raw NUL": "q=\0", "NUL in a name": "%00=1"}


@pytest.mark.parametrize("query", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_query_that_cannot_be_read_ends_the_connection_alone(query: str) -> None:
    people, job = await prepare()
    other, line = await socket(people["otto"], "/ws/jobs/"), await socket(people["vera"], "/ws/jobs/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"page": "jobs", "query": query}))
    assert await closed(line) == consumers.MAKES_NO_SENSE
    await other.connect()
    await other.send_to(text_data=json.dumps({"page": "jobs", "query": ""}))
    assert f'id="job-{job.pk}"' in (await next_frame(other, "job-list"))["html"]
    await other.disconnect()


ENDLESS = "9" * 5000


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("jobs", f"before={ENDLESS}&tier={ENDLESS}"),
        ("jobs", f"q={ENDLESS}&after=٣"),
        ("jobs", "q=%ED%A0%80&submitter=%FF"),
        ("inbox", f"page={ENDLESS}&job=٣"),
        ("conflict", "id=٣"),
        ("conflict", f"id={'9' * 1900}"),
        ("slot", "job=٣&key=x"),
        ("slot", "job=1&key=%ED%A0%80&subject=%01"),
    ],
)
def test_a_page_of_odd_numbers_is_rendered_all_the_same(page: str, query: str) -> None:
    PageTopic(page, query).changes(at_once=True)


async def test_a_socket_of_no_such_address_is_turned_away() -> None:
    people, _ = await prepare()
    for path in (f"/ws/jobs/{ENDLESS}/", "/ws/jobs/%00/", "/ws/nowhere/", "/nowhere"):
        line = await socket(people["vera"], path)
        assert not (await line.connect())[0]


async def test_a_cookie_with_a_nul_is_turned_away() -> None:
    cookie = f'{settings.SESSION_COOKIE_NAME}="\\000bcdefghijk"'.encode()
    headers = [(b"host", b"127.0.0.1:8000"), ORIGIN, (b"cookie", cookie)]
    line = WebsocketCommunicator(application, "/ws/jobs/", headers=headers)
    assert not (await line.connect())[0]


async def test_a_job_of_a_huge_number_harms_nobody() -> None:
    people, job = await prepare()
    odd = await socket(people["vera"], f"/ws/jobs/{10**30}/")
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await odd.connect()
    await odd.send_to(text_data="{}")
    await next_frame(odd, "inbox-badge")
    await line.connect()
    await line.send_to(text_data="{}")
    await next_frame(line, "panel-header")
    for one in (odd, line):
        await one.disconnect()
