"""What a topic sends: rows from a cursor without gap or double, panels that changed, and no more than fits."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.panels import Panel, render_keys, render_panels
from converge_site.live import topics
from converge_site.live.topics import JobTopic, PageTopic
from runtime.actions import cancel_job, decide_conflict
from runtime.models import Entry, Job
from tests.web.cast import open_conflict, run_on


def seqs(frame: str) -> list[int]:
    return [int(seq) for seq in re.findall(r'data-seq="(\d+)"', json.loads(frame)["html"])]


def started(job: Job) -> JobTopic:
    topic = JobTopic(job.pk)
    assert topic.changes(at_once=True) == []
    return topic


def decide_first(job: Job, user: User) -> Job:
    conflict = open_conflict(job)
    decide_conflict(
        user, conflict.pk, conflict.version, {"value": conflict.sides[0]["value"]}, "", f"r-{conflict.pk}-xx"
    )
    return run_on(job)


def test_a_viewer_is_brought_up_to_date_from_its_cursor(waiting_job: Job) -> None:
    topic, head = started(waiting_job), waiting_job.entries
    (frame,) = topic.catch_up(head - 7)
    assert seqs(frame) == list(range(head - 6, head + 1))
    assert json.loads(frame)["after"] == head - 7
    assert json.loads(frame)["to"] == head
    (frame,) = topic.catch_up(head)
    assert seqs(frame) == []
    assert 'id="panel-header"' in json.loads(frame)["html"]


def test_a_viewer_far_behind_gets_the_newest_rows_and_starts_afresh(
    waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "CATCH_UP", 50)
    monkeypatch.setattr(topics, "KEEP", 20)
    topic, head = started(waiting_job), waiting_job.entries
    (frame,) = topic.catch_up(10)
    assert json.loads(frame)["reset"] is True
    assert seqs(frame) == list(range(head - 19, head + 1))


def test_a_cursor_beyond_the_journal_is_not_believed(waiting_job: Job) -> None:
    (frame,) = started(waiting_job).catch_up(10**9)
    assert json.loads(frame)["reset"] is True
    assert json.loads(frame)["to"] == waiting_job.entries


def test_changes_go_on_where_the_last_frame_ended(waiting_job: Job, people: dict[str, User]) -> None:
    topic, before = started(waiting_job), waiting_job.entries
    assert topic.changes(at_once=True) == []
    job = decide_first(waiting_job, people["otto"])
    frames = topic.changes(at_once=True)
    assert [seq for frame in frames for seq in seqs(frame)] == list(range(before + 1, job.entries + 1))
    assert json.loads(frames[0])["after"] == before
    assert topic.changes(at_once=True) == []


def test_a_long_journal_comes_in_chunks_that_join(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "CHUNK", 3)
    topic = started(waiting_job)
    decide_first(waiting_job, people["otto"])
    frames = [json.loads(frame) for frame in topic.changes(at_once=True)]
    assert len(frames) > 2
    assert all(one["to"] == other["after"] for one, other in pairwise(frames))
    assert ["panel-header" in frame["html"] for frame in frames][-1]


def test_a_burst_beyond_the_cap_starts_everybody_afresh(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "CATCH_UP", 3)
    monkeypatch.setattr(topics, "KEEP", 2)
    topic = started(waiting_job)
    job = decide_first(waiting_job, people["otto"])
    (frame,) = topic.changes(at_once=True)
    assert json.loads(frame)["reset"] is True
    assert seqs(frame) == [job.entries - 1, job.entries]


def test_what_was_pushed_is_what_a_page_load_renders(waiting_job: Job, people: dict[str, User]) -> None:
    topic = started(waiting_job)
    job = decide_first(waiting_job, people["otto"])
    topic.changes(at_once=True)
    fresh = dict(render_panels(job)) | {f"key:{name}": html for name, html in render_keys(job).items()}
    assert topic.panels == fresh


def test_a_decision_that_waits_is_pushed_although_no_entry_was_written(
    waiting_job: Job, people: dict[str, User]
) -> None:
    topic, conflict = started(waiting_job), open_conflict(waiting_job)
    decide_conflict(people["otto"], conflict.pk, conflict.version, {"none": True}, "", "receipt-1")
    (frame,) = topic.changes(at_once=True)
    assert "panel-conflicts" in json.loads(frame)["html"]
    assert json.loads(frame)["after"] == json.loads(frame)["to"] == waiting_job.entries


def test_a_push_to_all_holds_nothing_personal(waiting_job: Job) -> None:
    (frame,) = started(waiting_job).catch_up(0)
    html = json.loads(frame)["html"]
    assert "data-personal" in html
    assert "<form" not in html
    assert "csrf" not in html


def test_panels_are_held_back_and_then_sent(waiting_job: Job, people: dict[str, User]) -> None:
    topic = started(waiting_job)
    decide_first(waiting_job, people["otto"])
    topic._panels_due_at = time.monotonic() + 60  # however long the decision took
    frames = topic.changes(at_once=False)
    assert "panel-header" not in "".join(frames)
    assert topic.waiting
    topic._panels_due_at = 0.0
    assert "panel-header" in "".join(topic.changes(at_once=False))
    assert not topic.waiting


def test_a_page_is_sent_when_it_differs(otto: Client, waiting_job: Job, people: dict[str, User]) -> None:
    pages = {name: PageTopic(name, query) for name, query in (("jobs", ""), ("inbox", ""), ("badge", ""))}
    for topic in pages.values():
        topic.changes(at_once=True)
        assert topic.changes(at_once=True) == []
    decide_first(waiting_job, people["otto"])
    for name, topic in pages.items():
        assert len(topic.changes(at_once=True)) == 1, name
    assert f'id="job-{waiting_job.pk}"' in json.loads(pages["jobs"].catch_up(0)[0])["html"]


def test_a_job_that_is_gone_sends_nothing(db: Any) -> None:
    topic = JobTopic(12345)
    assert topic.changes(at_once=True) == []
    assert topic.catch_up(0) == []


def test_rows_rendered_once_serve_everybody(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = started(waiting_job)
    rendered: list[int] = []
    render = topics.render_row
    monkeypatch.setattr(topics, "render_row", lambda row: (rendered.append(row.seq), render(row))[1])
    before = waiting_job.entries
    decide_first(waiting_job, people["otto"])
    topic.changes(at_once=True)
    for _ in range(5):
        topic.catch_up(before)
    assert rendered == list(
        Entry.objects.filter(seq__gt=before).order_by("seq").values_list("seq", flat=True)
    )


def test_entries_read_before_a_failure_are_sent_after_it(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, before = started(waiting_job), waiting_job.entries
    job = decide_first(waiting_job, people["otto"])
    with monkeypatch.context() as broken:

        def fail(panel: Panel, job: Job) -> None:
            raise RuntimeError("away")

        broken.setattr(topics, "render_panel", fail)
        with pytest.raises(RuntimeError):
            topic.changes(at_once=True)
    frames = topic.changes(at_once=True)
    assert [seq for frame in frames for seq in seqs(frame)] == list(range(before + 1, job.entries + 1))
    assert "panel-header" in frames[-1]


def test_who_comes_back_together_is_caught_up_by_one_reading(
    waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, head = started(waiting_job), waiting_job.entries
    rendered: list[int] = []
    render = topics.render_row
    monkeypatch.setattr(topics, "render_row", lambda row: (rendered.append(row.seq), render(row))[1])
    frames = [topic.catch_up(after)[0] for after in (head - 5, head - 5, head - 3, head - 20, head - 8)]
    assert frames[0] is frames[1]
    for frame, lacking in zip(frames, (5, 5, 3, 20, 8), strict=True):
        assert seqs(frame) == list(range(head - lacking + 1, head + 1))
    assert sorted(rendered) == list(range(head - 19, head + 1))


def test_a_newcomer_after_news_is_not_given_the_frame_of_before(
    waiting_job: Job, people: dict[str, User]
) -> None:
    topic, head = started(waiting_job), waiting_job.entries
    topic.catch_up(head - 2)
    job = decide_first(waiting_job, people["otto"])
    topic.changes(at_once=True)
    (frame,) = topic.catch_up(head - 2)
    assert seqs(frame) == list(range(head - 1, job.entries + 1))


def test_what_time_alone_changes_is_shown_by_and_by(
    waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = started(waiting_job)
    assert topic.changes(at_once=False) == []
    topic._refresh_at = topic._panels_due_at = 0.0
    render = topics.render_panel
    monkeypatch.setattr(
        topics,
        "render_panel",
        lambda panel, job: "<p>later</p>" if panel.name == "header" else render(panel, job),
    )
    (frame,) = topic.changes(at_once=False)
    assert json.loads(frame)["html"] == "<p>later</p>"


def test_a_page_that_costs_much_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch, db: Any) -> None:
    clock = [100.0]
    monkeypatch.setattr(topics.time, "monotonic", lambda: clock[0])

    def render(name: str, query: str) -> str:
        clock[0] += 0.4
        return f"<p>{clock[0]}</p>"

    monkeypatch.setattr(topics, "render_page", render)
    topic = PageTopic("jobs", "")
    assert len(topic.changes(at_once=False)) == 1
    clock[0] += 1.0
    assert topic.changes(at_once=False) == []
    assert topic.waiting
    clock[0] += 1.0
    assert len(topic.changes(at_once=False)) == 1
    assert not topic.waiting


def test_rows_do_not_wait_for_panels(waiting_job: Job, people: dict[str, User]) -> None:
    topic, before = started(waiting_job), waiting_job.entries
    topic._panels_due_at = 0.0
    job = decide_first(waiting_job, people["otto"])
    (rows,) = topic.changes(at_once=False)
    assert topic.owes
    assert seqs(rows) == list(range(before + 1, job.entries + 1))
    assert "panel-header" not in rows
    pieces = []
    while topic.owes:
        pieces += topic.more()
    assert len(pieces) > 2, "each panel goes as soon as it is there"
    assert all((seqs(piece), json.loads(piece)["after"]) == ([], job.entries) for piece in pieces)
    assert "panel-header" in "".join(pieces)
    assert topic.changes(at_once=True) == []


def test_rows_of_the_meantime_come_between_the_panels(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ROWS_EVERY", 0.0)
    topic = started(waiting_job)
    topic._panels_due_at = 0.0
    job = decide_first(waiting_job, people["otto"])
    topic.changes(at_once=False)
    topic.more()
    cancel_job(people["otto"], job.pk, "", "receipt-1")
    ended = run_on(job)
    pieces = []
    while topic.owes:
        pieces += topic.more()
    assert [seq for piece in pieces for seq in seqs(piece)] == list(range(job.entries + 1, ended.entries + 1))
    assert seqs(pieces[0]), "they come first"
    assert topic.waiting, "what was rendered before them is looked at again"
    topic.changes(at_once=True)
    fresh = dict(render_panels(ended)) | {f"key:{name}": html for name, html in render_keys(ended).items()}
    assert topic.panels == fresh


def test_panels_that_failed_on_the_way_are_all_due_again(
    waiting_job: Job, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = started(waiting_job)
    topic._panels_due_at = 0.0
    job = decide_first(waiting_job, people["otto"])
    topic.changes(at_once=False)
    topic.more()
    with monkeypatch.context() as broken:

        def fail(panel: Panel, job: Job) -> None:
            raise RuntimeError("away")

        broken.setattr(topics, "render_panel", fail)
        with pytest.raises(RuntimeError):
            topic.more()
    assert not topic.owes and topic.waiting
    topic.changes(at_once=True)
    fresh = dict(render_panels(job)) | {f"key:{name}": html for name, html in render_keys(job).items()}
    assert topic.panels == fresh
