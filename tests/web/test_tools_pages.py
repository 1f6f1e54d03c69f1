"""The Tools pages: breakers over all runtimes, figures of the last hour, who waits, what was called."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from converge_site.fragments import breakers
from converge_site.fragments.tool_board import ToolFilter, read_board
from converge_site.live.pages import render_page
from runtime.models import AuditRecord, Job, Tool
from runtime.tools.gate import shared_gate
from tests.web.cast import signed_in
from tests.web.tools import break_tool, make_call, make_recovering, make_tool, pause_tool


@pytest.fixture
def search(db: Any) -> Tool:
    return make_tool(title="Web search", concurrency=4)


def html_of(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def words_of(html: str) -> str:
    """What stands on a page, tags left out."""
    text = re.sub(r"<[^>]+>", " ", html)
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s+", " ", text))


def operate(client: Client, act: str, reason: str = "it lies", receipt: str = "receipt-1") -> Any:
    return client.post(f"/tools/search/{act}/", {"reason": reason, "receipt": receipt})


def test_a_closed_breaker_is_told_by_word_icon_and_colour(vera: Client, search: Tool) -> None:
    html = html_of(vera, "/tools/")
    state = re.search(r'<span class="status tone-green[^>]*>.*?</span>', html)
    assert state and "Closed" in state[0] and "#i-done" in state[0]
    assert "0 of 4" in words_of(html)


def test_an_open_breaker_tells_since_when_and_the_next_probe(vera: Client, search: Tool) -> None:
    break_tool(search)
    for address in ("/tools/", "/tools/search/"):
        html = html_of(vera, address)
        assert re.search(r"tone-red[^>]*>.*?#i-failed.*?Open<", html), address
        assert len(re.findall(r"<time datetime=[^>]*data-clock>", html)) >= 2, address
    assert "since" in words_of(html_of(vera, "/tools/")) and "next probe" in words_of(
        html_of(vera, "/tools/")
    )


def test_a_tool_that_asked_for_rest_is_paused(vera: Client, search: Tool) -> None:
    pause_tool(search)
    assert "Paused" in html_of(vera, "/tools/")


def test_a_tool_that_is_switched_off_says_so_whatever_its_breaker(vera: Client, search: Tool) -> None:
    Tool.objects.update(enabled=False)
    assert "Switched off" in html_of(vera, "/tools/search/")


def test_without_redis_no_state_is_claimed(vera: Client, search: Tool, settings: Any) -> None:
    settings.CONVERGE_REDIS_URL = "unix:///nowhere/redis.sock"
    breakers.forget_breakers()
    html = html_of(vera, "/tools/")
    assert "Unknown" in html and "cannot be read" in html
    assert "tone-green" not in html[html.index('id="tool-list"') :]
    assert "Redis does not answer" in html_of(vera, "/tools/search/")
    breakers.forget_breakers()


def test_redis_that_is_out_is_asked_once_in_a_while(
    vera: Client, search: Tool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(breakers, "_redis_answers", lambda: bool(asked.append(1)))
    breakers.forget_breakers()
    for _ in range(3):
        html_of(vera, "/tools/search/")
    breakers.forget_breakers()
    assert asked == [1]


def test_the_last_hour_is_counted_by_class_and_timed(scouts_job: Job, search: Tool) -> None:
    for took in range(1, 21):
        make_call(scouts_job, duration_ms=took * 10)
    for _ in range(3):
        make_call(scouts_job, cls="timeout", attempts=3, duration_ms=5_000)
    make_call(scouts_job, cls="circuit_open", attempts=0, duration_ms=0)
    make_call(scouts_job, cls="timeout", started_at=timezone.now() - dt.timedelta(hours=2))
    make_call(scouts_job, tool="other", cls="refused")
    (row,) = read_board(ToolFilter()).rows
    assert (row.stats.calls, row.stats.attempts, row.stats.failed) == (24, 29, 4)
    assert [(look.word, count) for look, count in row.stats.classes] == [("timeout", 3), ("circuit open", 1)]
    # Of 23 that were sent: the 12th, and the 22nd.
    assert (row.stats.median, row.stats.p95) == (120, 5_000)


def test_a_tool_nobody_called_has_no_latency(vera: Client, search: Tool) -> None:
    (row,) = read_board(ToolFilter()).rows
    assert (row.stats.calls, row.stats.median, row.stats.p95) == (0, None, None)


def test_jobs_that_wait_are_counted_and_listed(vera: Client, scouts_job: Job, search: Tool) -> None:
    make_tool("search2")
    make_recovering(scouts_job, waits_on=" other search2 ")
    waiting = {row.tool.name: row.waiting for row in read_board(ToolFilter()).rows}
    assert (waiting["search"], waiting["search2"]) == (0, 1)
    html = html_of(vera, "/tools/search2/")
    assert f'href="/jobs/{scouts_job.pk}/"' in html[html.index("Jobs that wait for it") :]
    assert "Jobs that wait for it" not in html_of(vera, "/tools/search/")


def test_the_three_empty_lists_are_told_apart(vera: Client, db: Any, scouts_job: Job) -> None:
    Tool.objects.all().delete()
    assert "No tool yet" in html_of(vera, "/tools/")
    search = make_tool()
    assert "No tool matches" in html_of(vera, "/tools/?q=nothing-like-it")
    assert "No tool matches" in html_of(vera, "/tools/?state=open")
    make_recovering(scouts_job)
    break_tool(search)
    html = html_of(vera, "/tools/?state=open")
    assert "Nothing moves where" in html and "1 job waits for it" in words_of(html)


def test_the_three_empty_lists_of_calls_are_told_apart(vera: Client, search: Tool, scouts_job: Job) -> None:
    assert "No call yet. The first job" in html_of(vera, "/tools/search/")
    break_tool(search)
    assert "No call yet, and none is sent now" in html_of(vera, "/tools/search/")
    make_call(scouts_job)
    assert "No call ended so" in html_of(vera, "/tools/search/?end=refused")


def test_calls_come_in_pages_and_by_how_they_ended(vera: Client, search: Tool, scouts_job: Job) -> None:
    calls = [make_call(scouts_job, cls="timeout" if n % 2 else "") for n in range(60)]
    first = html_of(vera, "/tools/search/")
    assert shown(first) == [call.pk for call in reversed(calls[10:])]
    older = re.search(r'href="(\?before=\d+)">Older', first)
    assert older
    second = html_of(vera, "/tools/search/" + older[1])
    assert shown(second) == [call.pk for call in reversed(calls[:10])]
    newer = re.search(r'href="(\?after=\d+)">Newer', second)
    assert newer and shown(html_of(vera, "/tools/search/" + newer[1])) == shown(first)
    timeouts = html_of(vera, "/tools/search/?end=timeout")
    assert shown(timeouts) == [call.pk for call in reversed(calls) if call.cls]
    assert shown(html_of(vera, "/tools/search/?end=done&before=" + str(calls[5].pk))) == [
        call.pk for call in reversed(calls[:5]) if not call.cls
    ]


def shown(html: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'id="call-(\d+)"', html)]


def test_a_call_tells_all_about_itself(vera: Client, search: Tool, scouts_job: Job) -> None:
    make_call(
        scouts_job,
        item="Podcasts",
        attempts=3,
        cls="server_error",
        http_status=503,
        message="search has trouble of its own (HTTP 503).",
        duration_ms=1_250.0,
    )
    make_call(scouts_job, agent="write_summary", tokens_in=812, tokens_out=120, cost=0.0041)
    words = words_of(html_of(vera, "/tools/search/"))
    for told in ("server error", "Podcasts", "503", "1.2 s", "812 + 120", "0.0041", "has trouble of its own"):
        assert told in words, told


def test_who_uses_a_tool_comes_from_settings_and_from_calls(
    vera: Client, search: Tool, scouts_job: Job
) -> None:
    agent = scouts_job.pack.agents.get(name="judge")
    agent.config = {"tool": "search"}
    agent.kind = "http"
    agent.save()
    make_call(scouts_job, agent="by_hand")
    html = html_of(vera, "/tools/search/")
    used = words_of(html[html.index("Used by") : html.index("Settings")])
    assert "judge scouts http" in used
    assert "by_hand scouts by its code" in used


def test_settings_name_the_secret_and_hide_what_may_be_one(vera: Client, db: Any) -> None:
    make_tool(secret_env="SEARCH_KEY")
    Tool.objects.update(url="https://user:hush@search.example.org/v1?key=hush")
    html = html_of(vera, "/tools/search/")
    assert "SEARCH_KEY" in html and "https://search.example.org/v1" in html
    assert "hush" not in html


def test_only_an_admin_gets_the_way_to_the_admin(vera: Client, ada: Client, search: Tool) -> None:
    address = f"/admin/runtime/tool/{search.pk}/change/"
    assert address in html_of(ada, "/tools/search/")
    assert address not in html_of(vera, "/tools/search/")


def test_an_operator_trips_and_resets_with_a_reason(otto: Client, search: Tool) -> None:
    assert operate(otto, "trip").status_code == 302
    assert shared_gate().state("search").tripped_by == "otto"
    html = html_of(otto, "/tools/search/")
    assert "Tripped by hand" in html and "is tripped" in html
    assert operate(otto, "reset", "mended", "receipt-2").status_code == 302
    assert shared_gate().state("search").tripped_by == ""
    acts = AuditRecord.objects.filter(target="tool:search").order_by("id")
    assert [(a.who_name, a.act, a.reason) for a in acts] == [
        ("otto", "trip_tool", "it lies"),
        ("otto", "reset_tool", "mended"),
    ]


def test_a_double_click_trips_once(otto: Client, search: Tool) -> None:
    assert [operate(otto, "trip").status_code for _ in range(2)] == [302, 302]
    assert AuditRecord.objects.filter(act="trip_tool").count() == 1


def test_the_second_of_two_people_is_told_of_the_first(
    otto: Client, people: dict[str, User], search: Tool
) -> None:
    operate(otto, "trip")
    answer = operate(signed_in(people["ada"]), "trip", receipt="receipt-of-ada")
    assert answer.status_code == 409
    assert "otto has tripped it already" in answer.content.decode()
    assert AuditRecord.objects.filter(act="trip_tool").count() == 1


def test_a_form_names_what_it_will_do(otto: Client, scouts_job: Job, search: Tool) -> None:
    make_recovering(scouts_job)
    break_tool(search)
    words = words_of(html_of(otto, "/tools/search/"))
    assert "Stops all calls of search, for all jobs and runtimes" in words
    assert "the 1 job that waits for it is tried at once" in words


def test_without_a_reason_nothing_happens_and_the_form_stays_open(otto: Client, search: Tool) -> None:
    answer = operate(otto, "trip", reason=" ")
    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()
    assert re.search(
        r'<details id="trip-form" class="more-action" open><summary class="btn danger">',
        answer.content.decode(),
    )
    assert shared_gate().state("search").status == "closed"


def test_a_viewer_may_not(vera: Client, search: Tool) -> None:
    assert "/tools/search/trip/" not in html_of(vera, "/tools/search/")
    answer = operate(vera, "trip")
    assert answer.status_code == 403
    assert shared_gate().state("search").status == "closed"


def test_nothing_to_reset_is_said(otto: Client, search: Tool) -> None:
    answer = operate(otto, "reset")
    assert answer.status_code == 409
    assert "nothing to reset" in answer.content.decode()


@pytest.mark.parametrize("query", ["", "q=sea&state=closed", "q=none"])
def test_what_is_pushed_is_the_part_of_the_list_that_moves(otto: Client, search: Tool, query: str) -> None:
    page = html_of(otto, f"/tools/?{query}")
    assert render_page("tools", query).strip() in page
    assert "hx-get" not in page.partition('id="tool-list"')[2].partition("</main>")[0]
    asked = re.search(r'data-page="tools" data-query="([^"]*)"', page)
    assert asked and asked[1].replace("&amp;", "&") == query


def test_what_is_asked_for_again_is_the_part_of_the_page_that_moves(otto: Client, search: Tool) -> None:
    address = "/tools/search/?end=failed"
    page = html_of(otto, address)
    part = html_of(otto, address, **{"HX-Request": "true"})
    assert part.lstrip().startswith('<div id="tool-')
    assert unforged(part.strip()) in unforged(page)
    asked = re.search(r'hx-get="([^"]+)" hx-trigger="every 2s"', page)
    assert asked and asked[1].replace("&amp;", "&") == address


def unforged(html: str) -> str:
    """Without the tokens that differ from rendering to rendering."""
    return re.sub(r'(name="(?:csrfmiddlewaretoken|receipt)" value=")[^"]+', r"\1", html)


def test_a_tool_that_is_not_there_is_a_page_of_ours(otto: Client) -> None:
    assert otto.get("/tools/none/").status_code == 404
    assert operate(otto, "trip").status_code == 404


def test_the_navigation_leads_to_the_tools(vera: Client, search: Tool) -> None:
    assert '<a href="/tools/" aria-current="page">' in html_of(vera, "/tools/")
