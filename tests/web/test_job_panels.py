"""The chart and the panel that says why a job has not converged: what each part says, and where it leads."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.chart import BARS, read_chart
from converge_site.fragments.moment import read_moment
from converge_site.fragments.then import job_then
from converge_site.fragments.why import ASKED, AT_WORK, ELSE, FALLS_SHORT, SHAKY, read_why
from runtime.actions import submit_job
from runtime.models import Answer, Cycle, Job
from tests.runtime.fixtures import Use
from tests.web import packs

NOW = dt.datetime(2026, 5, 1, 12, 0, 0, tzinfo=dt.UTC)


def add_cycles(job: Job, last: int) -> Job:
    """Cycles as far as `last`, with one change in every third."""
    first = job.cycle + 1
    Cycle.objects.bulk_create(
        Cycle(
            job=job,
            number=number,
            first_seq=job.entries,
            last_seq=job.entries,
            changes=number % 3 == 0,
            runs=2,
            tier=job.tier,
            digest="",
            started_at=NOW,
        )
        for number in range(first, last + 1)
    )
    job.cycle = last
    return job


def test_each_bar_is_a_link_to_its_moment_with_an_exact_title(otto: Client, waiting_job: Job) -> None:
    chart = read_chart(waiting_job)
    assert [bar.href for bar in chart.bars] == [
        f"/jobs/{waiting_job.pk}/?cycle={number}" for number in range(1, waiting_job.cycle + 1)
    ]
    cycle = Cycle.objects.get(job=waiting_job, number=2)
    ended = cycle.started_at + dt.timedelta(milliseconds=cycle.duration_ms)
    assert chart.bars[1].title == (
        f"Cycle 2: {cycle.changes} changes, {cycle.runs} runs, tier {cycle.tier}; {ended:%Y-%m-%d %H:%M:%S} UTC"
    )
    assert chart.marks
    for address in {bar.href for bar in chart.bars} | {mark.href for mark in chart.marks}:
        assert otto.get(address).status_code == 200


def test_a_long_job_has_several_cycles_to_a_bar(waiting_job: Job) -> None:
    chart = read_chart(add_cycles(waiting_job, 401))
    assert chart.each == 6
    assert len(chart.bars) == 67 <= BARS
    assert (chart.first, chart.last) == (1, 401)
    assert chart.bars[-2].href.endswith("?cycle=396")
    assert chart.bars[-1].href.endswith("?cycle=401")
    title = chart.bars[-2].title
    assert title.startswith("Cycles 391 to 396: 2 changes, 12 runs, tier 1; at most 1 changes in one;"), title


def test_the_chart_of_a_moment_ends_with_it(waiting_job: Job) -> None:
    moment = read_moment(waiting_job, "3")
    chart = read_chart(job_then(waiting_job, moment), moment)
    assert len(chart.bars) == 3
    assert chart.last == 3


def groups_of(job: Job, cycle: int | None = None) -> dict[str, list[str]]:
    moment = read_moment(job, str(cycle)) if cycle else None
    return {
        group.title: [item.text for item in group.items]
        for group in read_why(job_then(job, moment), moment).groups
    }


def test_while_it_waits_the_questions_are_named(waiting_job: Job) -> None:
    groups = groups_of(waiting_job)
    assert all(text.startswith(("Decide", "Approve")) for text in groups[ASKED])
    assert len(groups[ASKED]) == waiting_job.conflicts_open + waiting_job.holds_open


def test_while_it_runs_agents_with_work_left_are_named(waiting_job: Job) -> None:
    """Who is named before a cycle is at least who ran in it: nobody runs that had nothing new to look at."""
    for cycle in range(1, waiting_job.cycle):
        groups = groups_of(waiting_job, cycle)
        ran = {row[0] for row in Cycle.objects.get(job=waiting_job, number=cycle + 1).timings}
        aggregates = {a["name"] for a in waiting_job.frozen_spec()["agents"] if a["shape"] == "aggregate"}
        named = {text.split(" has ")[0] for text in groups.get(AT_WORK, [])}
        moment = read_moment(waiting_job, str(cycle))
        work = next(
            (g for g in read_why(job_then(waiting_job, moment), moment).groups if g.title == AT_WORK), None
        )
        if work is not None and not work.more:
            assert ran - aggregates <= named, cycle


@pytest.mark.parametrize(
    ("what", "group"),
    [
        ("failed", FALLS_SHORT),
        ("nothing_to_read", FALLS_SHORT),
        ("eligible", AT_WORK),
        ("provisional", SHAKY),
        ("invariant", ELSE),
        ("budget", ELSE),
        ("something new", ELSE),
    ],
)
def test_each_cause_stands_where_it_belongs(waiting_job: Job, what: str, group: str) -> None:
    waiting_job.status = "exhausted"
    waiting_job.causes = [{"what": what, "text": "this is why", "agent": "split"}]
    assert "this is why" in groups_of(waiting_job)[group]


def test_many_of_a_kind_are_counted(waiting_job: Job) -> None:
    waiting_job.status = "partial"
    waiting_job.causes = [
        {"what": "provisional", "text": f"fact {n}", "key": "stance", "subject": str(n)} for n in range(20)
    ]
    shaky = next(group for group in read_why(waiting_job).groups if group.title == SHAKY)
    assert len(shaky.items) + shaky.more == 20
    assert all(item.href for item in shaky.items)


def test_a_running_job_names_required_agents_that_failed(
    use_packs: Use, people: dict[str, User], recovering_job: Job
) -> None:
    recovering_job.status = "running"
    groups = groups_of(recovering_job)
    assert [text.split(":")[0] for text in groups[FALLS_SHORT]] == ["web-search failed"]


def test_a_queued_job_says_what_was_sent_to_it(use_packs: Use, people: dict[str, User]) -> None:
    use_packs("tests.web.packs:scouts")
    job = submit_job(people["otto"], "scouts", packs.TOPICS)
    assert read_why(job).lead == "It waits for a runtime to take it."
    job.cycle = 3
    assert read_why(job).lead == "It has new input and waits for a runtime."


def test_the_header_has_the_one_action_that_fits(otto: Client, scouts_job: Job) -> None:
    html = otto.get(f"/jobs/{scouts_job.pk}/").content.decode()
    clone = re.search(r'href="(/jobs/new\?from=\d+)"', html)
    assert clone
    form = otto.get(clone.group(1)).content.decode()
    assert "Two topics (again)" in form
    for topic in ("ants", "bees"):
        assert f'value="{topic}"' in form


def test_versions_have_addresses_that_stay(otto: Client, waiting_job: Job) -> None:
    html = otto.get(f"/jobs/{waiting_job.pk}/").content.decode()
    for answer in Answer.objects.filter(job=waiting_job):
        address = f"/jobs/{waiting_job.pk}/answers/{answer.version}/"
        assert f'href="{address}"' in html
        assert otto.get(address).status_code == 200
