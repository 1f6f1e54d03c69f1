"""The sockets, through the ASGI application as the server runs it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from channels_redis.pubsub import RedisPubSubLoopLayer
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError

from converge_site.asgi import application
from converge_site.live import consumers, door, hub, topics
from converge_site.live.hub import close_hub, get_hub
from runtime.actions import cancel_job, decide_conflict
from runtime.models import Job
from tests.waiting import eventually
from tests.web import cast
from tests.web.lines import ORIGIN, closed, next_frame, prepare, seqs, socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _hub() -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(close_hub)


async def test_a_stranger_is_turned_away() -> None:
    _, job = await prepare()
    for path in (f"/ws/jobs/{job.pk}/", "/ws/jobs/"):
        line = await socket(None, path)
        connected, _ = await line.connect()
        assert not connected
    nobody = await sync_to_async(User.objects.create_user)("nemo")
    line = await socket(nobody, "/ws/jobs/")
    assert not (await line.connect())[0]


async def test_a_viewer_gets_what_it_lacks_and_then_what_comes() -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    assert (await line.connect())[0]
    await line.send_to(text_data=json.dumps({"after": job.entries - 3}))
    frame = await next_frame(line, "panel-header")
    got = seqs(frame)
    assert got == [job.entries - 2, job.entries - 1, job.entries]
    conflict = await sync_to_async(cast.open_conflict)(job)
    await sync_to_async(decide_conflict)(
        people["otto"], conflict.pk, conflict.version, {"none": True}, "", "receipt-1"
    )
    job = await sync_to_async(cast.run_on)(job)
    while got[-1] < job.entries:
        got += seqs(await next_frame(line, "data-seq"))
    assert got == list(range(got[0], job.entries + 1))
    await line.disconnect()


async def test_many_viewers_share_one_reading() -> None:
    people, job = await prepare()
    lines = [await socket(people["vera"], f"/ws/jobs/{job.pk}/") for _ in range(5)]
    for line in lines:
        await line.connect()
        await line.send_to(text_data=json.dumps({"after": job.entries}))
        await next_frame(line, "panel-header")
    assert len(get_hub().tailer.watched) == 2  # the job and the badge
    await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
    await sync_to_async(cast.run_on)(job)
    frames = [await next_frame(line, "Cancelled") for line in lines]
    assert all(frame == frames[0] for frame in frames)
    for line in lines:
        await line.disconnect()


async def test_the_last_viewer_to_leave_ends_the_topic() -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data="{}")
    await next_frame(line, "panel-header")
    await line.disconnect()
    tailer = get_hub().tailer
    assert await asyncio.to_thread(eventually, lambda: not tailer.watched, 5)


async def test_the_list_is_pushed_for_its_own_filter() -> None:
    people, job = await prepare()
    line = await socket(people["vera"], "/ws/jobs/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"page": "jobs", "query": "status=cancelled"}))
    assert "No job matches" in (await next_frame(line, "job-list"))["html"]
    await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
    await sync_to_async(cast.run_on)(job)
    frame = await next_frame(line, f'id="job-{job.pk}"')
    assert "Cancelled" in frame["html"]
    await line.disconnect()


async def test_signing_out_ends_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "PING_SECONDS", 0.05)
    monkeypatch.setattr(door, "RECHECK_SECONDS", 0.1)
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data="{}")
    await next_frame(line, "panel-header")
    await sync_to_async(User.objects.filter(username="vera").update)(is_active=False)
    while True:
        output = await line.receive_output(timeout=5)
        if output["type"] == "websocket.close":
            assert output["code"] == consumers.SIGNED_OUT
            break


async def test_an_idle_line_is_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "PING_SECONDS", 0.05)
    people, _ = await prepare()
    line = await socket(people["vera"], "/ws/jobs/")
    await line.connect()
    assert json.loads(await line.receive_from(timeout=5)) == {"ping": 1}
    await line.disconnect()


async def test_a_viewer_that_acknowledges_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data="{}")
    await next_frame(line, "panel-header")
    (viewer,) = get_hub().tailer.watched["job", job.pk].viewers
    viewer.deliver(["x" * 400_000, "x" * 400_000])
    while True:
        output = await line.receive_output(timeout=5)
        if output["type"] == "websocket.close":
            assert output["code"] == consumers.TOO_SLOW
            break


async def test_without_hints_news_come_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_redis() -> None:
        raise ConnectionError("Redis is out")

    monkeypatch.setattr(hub, "get_channel_layer", no_redis)
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"after": job.entries}))
    await next_frame(line, "panel-header")
    await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
    await sync_to_async(cast.run_on)(job)
    assert "Cancelled" in (await next_frame(line, "Cancelled"))["html"]
    await line.disconnect()


async def test_a_database_that_was_away_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"after": job.entries}))
    await next_frame(line, "panel-header")
    with monkeypatch.context() as away:
        broken = threading.Event()

        def fail(*args: Any) -> None:
            broken.set()
            raise OperationalError("the database is away")

        away.setattr(topics, "entries_after", fail)
        get_hub().tailer.hint()
        assert await asyncio.to_thread(broken.wait, 5)
        await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
        job = await sync_to_async(cast.run_on)(job)
    got: list[int] = []
    while not got or got[-1] < job.entries:
        got += seqs(await next_frame(line, "data-seq"))
    assert got == list(range(got[0], job.entries + 1))
    await line.disconnect()


async def test_a_page_that_fails_ends_for_its_own_viewers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    render = topics.render_page

    def fail(name: str, query: str) -> str:
        if name == "inbox":
            raise KeyError("one of ours is wrong")
        return render(name, query)

    monkeypatch.setattr(topics, "render_page", fail)
    people, job = await prepare()
    wrong, good = (
        await socket(people["vera"], "/ws/jobs/"),
        await socket(people["otto"], f"/ws/jobs/{job.pk}/"),
    )
    await wrong.connect()
    await wrong.send_to(text_data=json.dumps({"page": "inbox"}))
    assert await closed(wrong) == consumers.BROKEN
    await good.connect()
    await good.send_to(text_data="{}")
    await next_frame(good, "panel-header")
    await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
    await sync_to_async(cast.run_on)(job)
    await next_frame(good, "Cancelled")
    assert ("page", "inbox", "") not in get_hub().tailer.watched
    await good.disconnect()


async def test_a_viewer_that_doubts_its_line_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    people, _ = await prepare()
    line = await socket(people["vera"], "/ws/jobs/")
    await line.connect()
    await line.send_to(text_data='{"ping":1}')
    assert json.loads(await line.receive_from(timeout=5)) == {"ping": 1}
    monkeypatch.setattr(get_hub().tailer, "_well_at", -1e9)
    await line.send_to(text_data='{"ping":1}')
    while "late" not in (answer := json.loads(await line.receive_from(timeout=5))):
        await line.send_to(text_data='{"ping":1}')
        monkeypatch.setattr(get_hub().tailer, "_well_at", -1e9)
    assert answer == {"ping": 1, "late": True}
    await line.disconnect()


async def test_what_a_socket_held_goes_with_it() -> None:
    """A frame that arrives at the moment of the farewell must not keep the writer, and all it holds, for ever."""
    people, job = await prepare()
    for turn in range(20):
        line = await socket(people["vera"], f"/ws/jobs/{job.pk}/" if turn % 2 else "/ws/jobs/")
        await line.connect()
        await line.send_to(text_data=json.dumps({"after": job.entries, "page": "inbox"}))
        await line.receive_from(timeout=5)
        viewers = {viewer for one in get_hub().tailer.watched.values() for viewer in one.viewers}
        await line.send_input({"type": "websocket.disconnect", "code": 1006})
        for viewer in viewers:
            viewer.deliver(["{}"])
        await line.wait(timeout=5)
    del viewers, viewer, line
    tailer = get_hub().tailer
    assert await asyncio.to_thread(eventually, lambda: not tailer.watched, 5)
    left = [task for task in asyncio.all_tasks() if task.get_name() == "live-writer"]
    assert left == []
    gc.collect()
    assert [held for held in gc.get_objects() if isinstance(held, consumers.LiveConsumer)] == []
    names = [thread.name for thread in threading.enumerate()]
    assert (names.count("live-tailer"), names.count("live-ear")) == (1, 1)
    assert sum(name.startswith("live-door") for name in names) <= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_tailer_that_died_is_started_again_and_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "MIND_SECONDS", 0.05)
    people, job = await prepare()
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"after": job.entries}))
    await next_frame(line, "panel-header")
    with monkeypatch.context() as deadly:

        def die(*given: Any, **more: Any) -> None:
            raise SystemExit

        deadly.setattr(topics, "job_frame", die)
        await sync_to_async(cancel_job)(people["otto"], job.pk, "", "receipt-1")
        job = await sync_to_async(cast.run_on)(job)
        assert await closed(line) == consumers.BROKEN
    line = await socket(people["vera"], f"/ws/jobs/{job.pk}/")
    await line.connect()
    await line.send_to(text_data=json.dumps({"after": job.entries - 2}))
    assert seqs(await next_frame(line, "Cancelled")) == [job.entries - 1, job.entries]
    assert [thread.name for thread in threading.enumerate()].count("live-tailer") == 1
    await line.disconnect()


def test_several_event_loops_share_one_tailer() -> None:
    """As a server with several would have them; both sides are told, each in its own thread."""
    heard: list[tuple[str, int]] = []
    all_there = threading.Barrier(3, timeout=20)

    async def look_on(key: str, job: Job) -> None:
        headers = [
            (b"host", b"127.0.0.1:8000"),
            ORIGIN,
            (b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode()),
        ]
        line = WebsocketCommunicator(application, f"/ws/jobs/{job.pk}/", headers=headers)
        await line.connect()
        await line.send_to(text_data=json.dumps({"after": job.entries}))
        await next_frame(line, "panel-header")
        await asyncio.to_thread(all_there.wait)
        await next_frame(line, "Cancelled")
        heard.append(
            (threading.current_thread().name, [t.name for t in threading.enumerate()].count("live-tailer"))
        )
        await line.disconnect()

    people = cast.make_people()
    job = cast.growth_job(people["otto"])
    keys = [
        cast.signed_in(people[name]).cookies[settings.SESSION_COOKIE_NAME].value for name in ("vera", "otto")
    ]
    threads = [
        threading.Thread(target=lambda key=key: asyncio.run(look_on(key, job)), name=f"loop {key}")
        for key in keys
    ]
    for thread in threads:
        thread.start()
    try:
        all_there.wait()
        cancel_job(people["otto"], job.pk, "", "receipt-1")
        cast.run_on(job)
    finally:
        for thread in threads:
            thread.join(30)
    assert sorted(heard) == sorted((f"loop {key}", 1) for key in keys)


async def test_a_socket_opens_although_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*given: Any) -> None:
        raise ConnectionError("Redis is out")

    monkeypatch.setattr(RedisPubSubLoopLayer, "new_channel", fail)
    people, _ = await prepare()
    line = await socket(people["vera"], "/ws/jobs/")
    assert (await line.connect())[0]
    await line.send_to(text_data="{}")
    await next_frame(line, "inbox-badge")
    await line.disconnect()


async def test_while_nobody_can_say_who_looks_nobody_is_let_in_and_nobody_sent_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "RECHECK_SECONDS", 0.05)
    people, _ = await prepare()
    inside = await socket(people["vera"], "/ws/jobs/")
    await inside.connect()
    await inside.send_to(text_data="{}")
    await next_frame(inside, "inbox-badge")
    asked = threading.Semaphore(0)

    def away(key: str) -> bool:
        asked.release()
        raise OperationalError("the database is away")

    monkeypatch.setattr(door, "is_still_allowed", away)
    outside = await socket(people["vera"], "/ws/jobs/")
    assert not (await outside.connect(timeout=5))[0]
    for _ in range(4):
        assert await asyncio.to_thread(asked.acquire, timeout=5)
    assert await inside.receive_nothing()
    await inside.disconnect()


async def test_a_session_is_asked_about_once_however_many_sockets_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "RECHECK_SECONDS", 0.05)
    people, _ = await prepare()
    client = await sync_to_async(cast.signed_in)(people["vera"])
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode()
    headers = [(b"host", b"127.0.0.1:8000"), ORIGIN, (b"cookie", cookie)]
    lines = [WebsocketCommunicator(application, "/ws/jobs/", headers=headers) for _ in range(5)]
    for line in lines:
        await line.connect()
    asked: list[str] = []
    monkeypatch.setattr(door, "is_still_allowed", lambda key: bool(asked.append(key)))
    for line in lines:
        assert await closed(line) == consumers.SIGNED_OUT
    assert len(asked) == 1
