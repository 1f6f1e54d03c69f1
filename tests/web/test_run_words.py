"""What a run entry says on the page."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client

from converge_site.fragments.journal import row_of
from converge_site.fragments.panels import render_row
from converge_site.fragments.runs import read_run
from runtime.models import Entry, Job
from tests.web.test_hostile_facts import HOSTILE, check
from tests.web.tools import make_call, make_recovering, make_tool, tool_gap

TIMEOUT = {"cls": "timeout", "message": "It took longer than 2 s.", "transient": True}
BROKEN = {"cls": "agent_error", "message": "KeyError: 'x'", "transient": False, "item": "a"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"ran": 3, "said": 5}, "3 voices ran, said 5"),
        ({"ran": 1, "said": 0}, "1 voice ran, nothing to say"),
        ({"ran": 2}, "2 voices ran"),  # an agent that only adds tells no number
        ({"ran": 0, "silenced": 1, "item": "ads"}, "ads is gone, silenced"),
        ({"ran": 0, "silenced": 1}, "what it reads is gone, silenced"),
        (
            {"ran": 1, "said": 0, "failed": [TIMEOUT]},
            "1 voice ran; 1 failed: timeout (It took longer than 2 s)",
        ),
        (
            {"ran": 3, "said": 1, "failed": [BROKEN, TIMEOUT]},
            "3 voices ran, said 1; 2 failed: 1 agent error, 1 timeout (KeyError: 'x' on a)",
        ),
        ({"ran": 1, "said": 0, "abstained": ["x"]}, "1 voice ran, nothing to say; abstained on x"),
        (
            {"ran": 5, "said": 1, "abstained": list("abcde")},
            "5 voices ran, said 1; abstained on a, b, c and 2 more",
        ),
        (
            {"ran": 1, "said": 1, "rebased": [{"key": "k"}]},
            "1 voice ran, said 1; 1 statement repeated on new premises",
        ),
    ],
)
def test_a_run_is_told_in_words(body: dict[str, Any], words: str) -> None:
    text = orjson.dumps({"kind": "run", "agent": "scout", **body}).decode()
    row = row_of(Entry(job_id=1, seq=1, cycle=1, kind="run", agent="scout", body=text))
    assert (row.word, row.reason) == ("run", words)


DOWN = {"cls": "timeout", "message": "search did not answer in time.", "transient": True, "tool": "search"}
ASKED = {
    "kind": "run",
    "agent": "web-search",
    "ran": 6,
    "said": 1,
    "failed": [
        DOWN | {"item": "a"},
        DOWN | {"item": "b", "cls": "circuit_open"},
        *[DOWN | {"item": n} for n in "cde"],
    ],
    "calls": [
        {"item": "a", "tool": "search", "attempts": 3, "cls": "timeout"},
        {"item": "b", "tool": "search", "attempts": 0, "cls": "circuit_open"},
        *[{"item": n, "tool": "search", "attempts": 1, "cls": "timeout"} for n in "cde"],
        {"item": "f", "tool": "search", "attempts": 2},
        {"tool": "writer", "attempts": 1, "tokens_in": 812, "tokens_out": 120, "cost": 0.00412},
    ],
}


def entry_of(body: dict[str, Any]) -> Entry:
    text = orjson.dumps(body).decode()
    return Entry(job_id=1, seq=1, cycle=1, kind="run", agent="web-search", body=text)


def test_each_failure_tells_its_class_its_tool_and_its_attempts() -> None:
    run = read_run(ASKED)
    told = [(f.item, f.look.word, f.tool, f.attempts_words) for f in run.failures]
    assert told[:3] == [
        ("a", "timeout", "search", "3 attempts"),
        ("b", "circuit open", "search", "not sent"),
        ("c", "timeout", "search", "1 attempt"),
    ]


def test_calls_are_summed_up_by_tool() -> None:
    run = read_run(ASKED)
    assert [(use.tool, use.words) for use in run.uses] == [
        ("search", "6 calls, 8 attempts"),
        ("writer", "1 call, 812 tokens in, 120 out, cost 0.0041"),
    ]


def test_a_row_lists_three_failures_and_counts_the_rest(db: None) -> None:
    html = render_row(row_of(entry_of(ASKED)))
    assert html.count("at <a href") == 3
    assert "and 2 more" in html
    assert html.count('href="/tools/search/"') == 4


def test_a_run_that_asked_no_tool_is_one_line() -> None:
    assert "run-more" not in render_row(row_of(entry_of({"ran": 1, "said": 0, "failed": [TIMEOUT]})))


def test_the_page_of_a_run_tells_every_failure_and_call(vera: Client, recovering_job: Job) -> None:
    entry = Entry.objects.filter(job=recovering_job, kind="run", agent="web-search")[0]
    entry.body = orjson.dumps(ASKED).decode()
    entry.save()
    html = vera.get(f"/jobs/{recovering_job.pk}/entries/{entry.seq}/").content.decode()
    failed, calls = html.split("<h2>Failed</h2>")[1].split("<h2>Calls of tools</h2>")
    assert failed.count("search did not answer in time.") == 5
    assert failed.count("may help") == 5
    assert "not sent" in failed
    assert calls.split("</section>")[0].count("<tr>") == 8
    assert "0.0041" in calls


def test_hostile_tools_and_messages_are_text(vera: Client, recovering_job: Job) -> None:
    entry = Entry.objects.filter(job=recovering_job, kind="run", agent="web-search")[0]
    for text in HOSTILE:
        failed = {"item": text, "cls": text, "message": text, "tool": text, "transient": True}
        call = {"item": text, "tool": text, "attempts": 1, "cls": text}
        entry.body = orjson.dumps({"kind": "run", "ran": 1, "failed": [failed], "calls": [call]}).decode()
        entry.save()
        for page in ("", "journal/", f"entries/{entry.seq}/"):
            check(vera.get(f"/jobs/{recovering_job.pk}/{page}").content.decode(), page)


def test_hostile_messages_and_items_are_text_on_the_pages_of_tools(vera: Client, scouts_job: Job) -> None:
    make_tool()
    for text in HOSTILE:
        make_call(scouts_job, item=text, agent=text[:100], message=text, cls="timeout")
        gap = tool_gap(text, text=text)
        job = make_recovering(scouts_job, [gap])
        Job.objects.update(title=text)
        for page in ("/tools/", "/tools/search/", f"/jobs/{job.pk}/", f"/jobs/{job.pk}/weather/"):
            check(vera.get(page).content.decode(), page)
