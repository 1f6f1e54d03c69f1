"""The agent timeline: a bar for what each agent did in a cycle, bounded whatever the size, told as a table too."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from converge_site.fragments import timeline
from converge_site.fragments.moment import read_moment
from converge_site.fragments.panels import render_panels
from converge_site.fragments.timeline import Window, read_timeline
from converge_site.fragments.timeline_bars import look_of_runs
from converge_site.fragments.timeline_page import timeline_context
from converge_site.fragments.timeline_runs import read_told
from converge_site.fragments.timeline_scale import make_scale
from converge_site.live.pages import render_page
from runtime.models import Cycle, Entry, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import WALK_SEEDS
from tests.runtime.stage import run, submit, tell
from tests.web.cast import run_on
from tests.web.packs import search

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def told(**body: Any) -> Any:
    return look_of_runs(read_told(body))


def bars_of(job: Job, **window: Any) -> list[tuple[str, int]]:
    read = read_timeline(job, None, Window(**window))
    return [(bar.run.agent, bar.run.cycle) for bar in read.bars]


def test_every_run_entry_of_a_job_is_a_bar_that_leads_to_it(waiting_job: Job) -> None:
    read = read_timeline(waiting_job, window=Window(rows=50))
    ran = [e for e in Entry.objects.filter(job=waiting_job, kind="run") if e.data["ran"]]
    assert {bar.run.seq for bar in read.bars} == {e.seq for e in ran}
    for bar in read.bars:
        assert bar.href == f"/jobs/{waiting_job.pk}/entries/{bar.run.seq}/"
        assert bar.took_ms is not None and f"cycle {bar.run.cycle}" in bar.words


@pytest.mark.parametrize(
    ("body", "word", "tone", "shape"),
    [
        ({"ran": 1, "said": 3}, "said 3", "green", "full"),
        ({"ran": 1}, "ran", "green", "full"),
        ({"ran": 2, "said": 0}, "nothing to say", "grey", "half"),
        ({"ran": 1, "said": 0, "abstained": ["x"]}, "abstained", "grey", "half"),
        ({"ran": 1, "failed": [{"cls": "timeout"}]}, "timeout", "red", "full"),
        ({"ran": 3, "said": 1, "failed": [{"cls": "timeout"}]}, "1 of 3 failed: timeout", "red", "part"),
        ({"ran": 2, "failed": [{"cls": "timeout"}, {"cls": "refused"}]}, "timeout, refused", "red", "full"),
    ],
)
def test_an_outcome_has_a_word_a_tone_and_a_shape(body: Any, word: str, tone: str, shape: str) -> None:
    look, found = told(**body)
    assert (look.word, look.tone, found) == (word, tone, shape)
    assert look.icon


def test_tries_of_an_agent_that_failed_are_counted(recovering_job: Job) -> None:
    job = recovering_job
    tell(job, "retry", "otto")
    job = run_on(job)
    search["fails"] = ""
    tell(job, "retry", "otto")
    job = run_on(job)
    read = read_timeline(job)
    tried = [(bar.run.attempt, bar.look.word) for bar in read.bars if bar.run.agent == "web-search"]
    assert tried == [(1, "timeout"), (2, "timeout"), (3, "said 2")]
    assert "attempt 2" in next(bar.words for bar in read.bars if bar.run.attempt == 2)
    assert {mark.look.word for mark in read.marks} >= {"sent"}


def test_cycles_that_kept_no_times_are_drawn_from_the_journal(use_packs: Use, db: None) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    before = bars_of(job)
    Cycle.objects.filter(job=job).update(timings=[])
    assert bars_of(job) == before
    assert read_timeline(job).bars[0].took_ms is None


def test_a_moment_of_the_past_shows_what_had_run_by_then(waiting_job: Job) -> None:
    moment = read_moment(waiting_job, "2")
    then = read_timeline(waiting_job, moment)
    assert then.last == 2 and {bar.run.cycle for bar in then.bars} <= {1, 2}
    assert all(mark.cycle <= 2 for mark in then.marks)
    assert read_timeline(waiting_job).last == waiting_job.cycle


def test_a_stretch_of_cycles_and_one_agent_can_be_asked_for(use_packs: Use, db: None) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    assert job.cycle > 3
    read = read_timeline(job, None, Window(first=2, cycles=2))
    assert (read.first, read.last, read.later) == (2, 3, 4)
    assert read.earlier == 1
    agent = read.agents[0]
    only = read_timeline(job, None, Window(agent=agent))
    assert [lane.agent for lane in only.lanes] == [agent]


def test_no_more_bars_are_drawn_than_the_bound(use_packs: Use, db: None) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    latest = read_timeline(job, None, Window(bars=2))
    assert len(latest.bars) <= 2 and latest.last == job.cycle and latest.earlier is not None
    oldest = read_timeline(job, None, Window(first=1, bars=2))
    assert len(oldest.bars) <= 2 and oldest.first == 1 and oldest.later is not None


def test_where_rows_are_few_who_failed_is_shown(recovering_job: Job, monkeypatch: Any) -> None:
    monkeypatch.setattr(timeline, "PANEL_ROWS", 1)
    read = read_timeline(recovering_job, None, Window(rows=1))
    assert [lane.agent for lane in read.lanes] == ["web-search"]
    assert read.hidden >= 1 and read.next_row is None
    first = read_timeline(recovering_job, None, Window(rows=2))
    assert len(first.lanes) == 2 and (first.next_row == 2) == (first.hidden > 0)


def test_idle_time_is_folded_and_marked() -> None:
    hour = dt.timedelta(hours=1)
    scale = make_scale([(BEGAN, 10.0), (BEGAN + hour, 10.0), (BEGAN + hour, 5.0)], [10.0, 10.0, 0.1])
    assert [round(fold.seconds) for fold in scale.folds] == [3600]
    (a, wide), (b, _), (c, slim) = scale.places
    assert a == 0 and b > a + wide and c > b and slim < wide
    assert scale.folds[0].width < slim
    assert not scale.is_full


def test_the_longest_of_cycles_leaves_room_for_the_shortest() -> None:
    spans = [(BEGAN + dt.timedelta(minutes=at), 0.1 if at else 59_000.0) for at in range(40)]
    scale = make_scale(spans, [took for _, took in spans])
    assert scale.is_full
    assert min(width for _, width in scale.places) > 1
    assert scale.places[-1][0] + scale.places[-1][1] <= 100.001


def test_the_panel_costs_few_queries_and_fewer_when_seen_before(waiting_job: Job) -> None:
    Cycle.objects.filter(job=waiting_job).update(digest="0" * 64)  # nobody has seen these
    with CaptureQueriesContext(connection) as first:
        read_timeline(waiting_job)
    with CaptureQueriesContext(connection) as again:
        read_timeline(waiting_job)
    assert len(first) <= 6
    assert len(again) < len(first)


def test_the_panel_is_the_same_for_the_page_and_the_push(waiting_job: Job) -> None:
    html = render_panels(waiting_job)["timeline"]
    assert html == render_panels(waiting_job)["timeline"]
    assert 'id="panel-timeline"' in html and "data-personal" not in html and "style=" not in html


def test_the_page_tells_the_same_as_a_table(otto: Client, waiting_job: Job) -> None:
    page = otto.get(f"/jobs/{waiting_job.pk}/timeline/").content.decode()
    bars = re.findall(rf'<a class="b [^"]*" href="(/jobs/{waiting_job.pk}/entries/\d+/)"', page)
    rows = re.findall(rf'<td class="right"><a href="(/jobs/{waiting_job.pk}/entries/\d+/)"', page)
    assert bars and sorted(bars) == sorted(rows)
    assert f"job={waiting_job.pk}" in page.split("data-query=")[1][:40]


@pytest.mark.parametrize(
    "query",
    [
        "from=1&cycles=10",
        "from=99999999999999999999",
        "from=-1",
        "cycles=7",
        "agent=nobody",
        "row=500",
        "row=x",
    ],
)
def test_odd_addresses_show_something(otto: Client, waiting_job: Job, query: str) -> None:
    assert otto.get(f"/jobs/{waiting_job.pk}/timeline/?{query}").status_code == 200


def test_an_address_of_a_past_moment_keeps_it_in_its_links(otto: Client, waiting_job: Job) -> None:
    page = otto.get(f"/jobs/{waiting_job.pk}/timeline/?cycle=3").content.decode()
    assert "as it was after cycle 3" in page and "data-page" not in page
    links = timeline_context(waiting_job, read_moment(waiting_job, "3"), Window(cycles=1, first=2))["links"]
    assert [link["href"] for link in links] == [
        "?from=1&cycles=1&cycle=3",
        "?from=3&cycles=1&cycle=3",
        "?cycles=1&cycle=3",
    ]
    assert otto.get(f"/jobs/{waiting_job.pk}/timeline/?cycle=999").status_code == 404


def test_the_live_page_is_the_fragment_of_the_page(otto: Client, waiting_job: Job) -> None:
    pushed = render_page("timeline", f"job={waiting_job.pk}&cycles=10")
    page = otto.get(f"/jobs/{waiting_job.pk}/timeline/?cycles=10").content.decode()
    squeezed = re.sub(r"\s+", " ", pushed).strip()
    assert squeezed in re.sub(r"\s+", " ", page)
    assert render_page("timeline", "job=0") == ""


def test_a_job_that_has_not_run_says_so(otto: Client, people: dict[str, User], use_packs: Use) -> None:
    use_packs("walk")
    job = submit("walk", WALK_SEEDS)
    assert "draws the first bar" in otto.get(f"/jobs/{job.pk}/timeline/").content.decode()
