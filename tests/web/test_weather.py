"""A job that lacks something because of a tool: what it waits for, when it goes on, and what it lacks, in words."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments import breakers
from converge_site.fragments.panels import render_panels
from converge_site.fragments.weather import find_shortfalls, group_shortfalls
from converge_site.live.topics import JobTopic
from runtime.actions import retry_job
from runtime.models import Decision, Entry, Job, Tool
from runtime.tools.gate import shared_gate
from tests.web import packs
from tests.web.cast import run_on
from tests.web.tools import break_tool, make_recovering, pause_tool, tool_gap


def words_of(html: str) -> str:
    """What stands on a page, tags left out."""
    text = re.sub(r"<[^>]+>", " ", html)
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s+", " ", text))


def part_of(client: Client, job: Job, name: str) -> str:
    """One fragment of the job page, as HTML."""
    html = client.get(f"/jobs/{job.pk}/").content.decode()
    start = html.index(f'<div id="{name}"')
    return html[start : html.index("</div>", start)]


def hour(html: str) -> list[str]:
    """The moments in a fragment."""
    return re.findall(r'<time datetime="([^"]+)"[^>]* data-clock>', html)


def test_the_header_says_what_it_waits_for_and_until_when(vera: Client, recovering_job: Job) -> None:
    break_tool(Tool.objects.get(name="search"))
    html = part_of(vera, recovering_job, "recovering")
    words = words_of(html)
    assert re.search(
        r"search is down since [^;]+, next probe [^;]+; next try [^;]+; gives up [^;]+\.", words
    ), words
    assert 'href="/tools/search/"' in html
    assert len(hour(html)) == 5
    assert "It holds no worker" in words


def test_the_times_are_those_of_the_row_and_of_the_breaker(vera: Client, recovering_job: Job) -> None:
    now = time.time()
    job = make_recovering(recovering_job, retry_at=now + 200, give_up_at=now + 80_000)
    break_tool(Tool.objects.get(name="search"), open_seconds=300)
    state = shared_gate().state("search")
    told = [
        time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))
        for moment in hour(part_of(vera, job, "recovering"))
    ]
    wanted = [state.since, state.next_probe, job.retry_at, job.give_up_at, job.recovering_since]
    utc = time.mktime(time.gmtime(now)) - now
    assert [round(moment - utc) for moment in told] == [pytest.approx(moment, abs=1.5) for moment in wanted]


def test_gaps_are_told_with_the_breaker_as_it_is(vera: Client, recovering_job: Job) -> None:
    search = Tool.objects.get(name="search")
    lacks = "Tier 2 now. Tier 3 lacks evidence.web on ants, bees: search"
    assert f"{lacks} timed out when last asked" in words_of(part_of(vera, recovering_job, "weather"))
    break_tool(search)
    assert re.search(
        f"{lacks} is down since .+, next probe .+", words_of(part_of(vera, recovering_job, "weather"))
    )
    shared_gate().trip("search", "otto")
    breakers.forget_breakers()
    assert f"{lacks} is tripped by hand by otto, down since" in words_of(
        part_of(vera, recovering_job, "weather")
    )
    shared_gate().reset("search")
    pause_tool(search)
    assert f"{lacks} asked to be left alone until" in words_of(part_of(vera, recovering_job, "weather"))
    search.enabled = False
    search.save()
    assert f"{lacks} is switched off" in words_of(part_of(vera, recovering_job, "weather"))
    search.delete()
    assert f"{lacks} is not configured any more" in words_of(part_of(vera, recovering_job, "weather"))


def test_without_redis_the_gap_is_told_and_the_state_is_not_claimed(
    vera: Client, recovering_job: Job, settings: Any
) -> None:
    settings.CONVERGE_REDIS_URL = "unix:///nowhere/redis.sock"
    breakers.forget_breakers()
    words = words_of(part_of(vera, recovering_job, "weather"))
    breakers.forget_breakers()
    assert "search timed out; how it is now cannot be told, as Redis does not answer" in words


def test_pages_of_one_second_ask_redis_once(
    vera: Client, recovering_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(breakers, "_redis_answers", lambda: not asked.append(1))
    breakers.forget_breakers()
    for page in (f"/jobs/{recovering_job.pk}/", f"/jobs/{recovering_job.pk}/weather/", "/tools/search/"):
        vera.get(page)
    assert asked == [1]


def test_a_push_asks_redis_nothing_and_leaves_it_to_the_page(
    recovering_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakers._memory, "read", lambda names: pytest.fail("a push asked for breakers"))
    panels = render_panels(recovering_job)
    for name, panel in (("recovering", "header"), ("weather", "why")):
        found = re.search(
            rf'<div id="{name}"[^>]* data-personal="[^"]+" data-rev="[^"]+"[^>]*>(.*?)</div>', panels[panel]
        )
        assert found and not found[1].strip(), panels[panel]


def test_what_a_page_asks_for_again_is_what_it_showed(vera: Client, recovering_job: Job) -> None:
    page = vera.get(f"/jobs/{recovering_job.pk}/").content.decode()
    part = vera.get(f"/jobs/{recovering_job.pk}/weather/").content.decode()
    asked = f'hx-get="/jobs/{recovering_job.pk}/weather/" hx-trigger="every 2s" hx-swap="none" data-morph'
    assert asked in page
    for piece in re.findall(r"<div id=.*?</div>", part, re.DOTALL):
        assert piece in page
    assert len(re.findall("<div id=", part)) == 2
    only = vera.get(f"/jobs/{recovering_job.pk}/weather/?part=weather").content.decode()
    assert only.strip() in part


def test_a_job_that_goes_on_is_no_longer_asked_about(vera: Client, recovering_job: Job) -> None:
    packs.search["fails"] = ""
    retry_job(recovering_job.submitter, recovering_job.pk, "retry-now-1")
    job = run_on(recovering_job)
    assert job.status == "converged"
    html = vera.get(f"/jobs/{job.pk}/").content.decode()
    assert "every 2s" not in html
    assert 'id="weather"' not in html
    part = vera.get(f"/jobs/{job.pk}/weather/").content.decode()
    assert "It goes on: converged." in words_of(part)


def test_retry_now_is_the_one_action(otto: Client, vera: Client, recovering_job: Job) -> None:
    html = otto.get(f"/jobs/{recovering_job.pk}/").content.decode()
    action = html[html.index('id="job-action"') : html.index("jobhead-bottom")]
    assert "Retry now" in action and "Cancel" not in action and "Clone" not in action
    assert "Retry now" not in vera.get(f"/jobs/{recovering_job.pk}/").content.decode()


def test_a_partial_answer_for_want_of_a_tool_can_be_tried_again(otto: Client, recovering_job: Job) -> None:
    gap = tool_gap(given_up=True, text="`web-search` failed on ants: given up after 24 hours of trying")
    job = make_recovering(recovering_job, [gap], status="partial", waits_on="", retry_at=None)
    html = otto.get(f"/jobs/{job.pk}/").content.decode()
    assert "Try again" in html and "Clone" in html
    assert "it is not tried again by itself" in words_of(part_of(otto, job, "weather"))
    packs.search["fails"] = ""
    assert otto.post(f"/jobs/{job.pk}/retry/", {"receipt": "again-12345"}).status_code == 302
    assert run_on(job).status == "converged"


def test_gaps_of_one_agent_and_tool_are_one_shortfall(recovering_job: Job) -> None:
    gaps = [tool_gap(name) for name in "abcde"]
    gaps.append(
        {"what": "awaited", "agent": "sum-up", "cls": "server_error", "tool": "writer", "transient": True}
    )
    gaps.append({"what": "failed", "agent": "judge", "cls": "agent_error", "text": "no tool is to blame"})
    found = group_shortfalls(recovering_job, gaps)
    assert [(s.agent, s.tier, s.keys, s.on, s.is_awaited) for s in found] == [
        ("web-search", 3, ["evidence.web"], "a, b, c and 2 more", False),
        ("sum-up", 3, ["report"], "", True),
    ]


def test_a_tool_that_was_left_alone_is_told_by_what_it_did_before(recovering_job: Job) -> None:
    gaps = [tool_gap("a", cls="circuit_open"), tool_gap("b", cls="server_error")]
    assert [s.deed for s in group_shortfalls(recovering_job, gaps)] == ["failed with a server error"]
    assert [s.deed for s in group_shortfalls(recovering_job, gaps[:1])] == ["was down"]


def test_a_job_under_way_has_no_shortfall_yet(recovering_job: Job) -> None:
    assert find_shortfalls(recovering_job)
    Job.objects.update(status="running")
    recovering_job.refresh_from_db()
    assert find_shortfalls(recovering_job) == []


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("retry_due", "the clock: tried again"),
        ("give_up", "the clock: gave up waiting: given up after 24 hours of trying"),
    ],
)
def test_the_clock_is_told_as_the_clock(vera: Client, recovering_job: Job, act: str, words: str) -> None:
    reason = "given up after 24 hours of trying" if act == "give_up" else ""
    Decision.objects.create(
        job=recovering_job, act=act, by=None, by_name="@clock", receipt=f"clock-{act}", reason=reason
    )
    job = run_on(recovering_job)
    seq = Entry.objects.filter(job=job, kind="inbox").order_by("-seq")[0].seq
    for page in (f"/jobs/{job.pk}/journal/", f"/jobs/{job.pk}/entries/{seq}/"):
        assert words in words_of(vera.get(page).content.decode()), page


def test_the_list_of_jobs_says_what_a_job_waits_for(vera: Client, recovering_job: Job) -> None:
    assert "waits for search" in words_of(vera.get("/").content.decode())


def test_calls_tokens_and_cost_are_told_where_there_were_any(vera: Client, scouts_job: Job) -> None:
    head = vera.get(f"/jobs/{scouts_job.pk}/").content.decode()
    assert "Tool calls" not in head and "Tokens" not in head and "tools cost" not in head
    Job.objects.update(calls=14, tokens=93_200, cost=0.1234)
    words = words_of(vera.get(f"/jobs/{scouts_job.pk}/").content.decode())
    assert "Tool calls 14 / 1,000" in words
    assert "Tokens 93,200 / 1,000,000" in words
    assert "tools cost 0.1234" in words


def test_a_page_and_its_pushes_stay_equal(recovering_job: Job, people: dict[str, User]) -> None:
    topic = JobTopic(recovering_job.pk)
    topic.changes(at_once=True)
    packs.search["fails"] = ""
    retry_job(people["otto"], recovering_job.pk, "retry-now-2")
    job = run_on(recovering_job)
    frames = topic.changes(at_once=True)
    assert "panel-why" in json.loads(frames[-1])["html"]
    assert {name: topic.panels[name] for name in render_panels(job)} == render_panels(job)
