"""The journal's filters: kind, agent, key and outcome, in the address; and ways through a long journal."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.journal import read_page, row_of
from converge_site.fragments.journal_filter import OUTCOME_GROUPS, OUTCOMES, PROPOSAL, SORTS, Filter
from runtime.actions import decide_conflict
from runtime.models import Entry, Job
from tests.web.cast import open_conflict, run_on

ALL_OUTCOMES = [name for _, names in OUTCOME_GROUPS for name in names]


@pytest.fixture
def told_job(waiting_job: Job, people: dict[str, User]) -> Job:
    """A job with a decision, closed and open questions, reached and missed tiers."""
    conflict = open_conflict(waiting_job)
    choice = {"value": conflict.sides[0]["value"]}
    decide_conflict(people["otto"], conflict.pk, conflict.version, choice, "so I think", "a decision")
    return run_on(waiting_job)


def seqs_of(job: Job, chosen: Filter) -> list[int]:
    return [row.seq for row in read_page(job, chosen, limit=10_000).rows]


@pytest.mark.parametrize("outcome", ALL_OUTCOMES)
def test_the_database_and_the_rows_agree_on_every_outcome(told_job: Job, outcome: str) -> None:
    rows = [row_of(entry) for entry in Entry.objects.filter(job=told_job).order_by("seq")]
    assert seqs_of(told_job, Filter(outcome=outcome)) == [row.seq for row in rows if row.outcome == outcome]


@pytest.mark.parametrize("kind", SORTS)
def test_the_database_and_the_rows_agree_on_every_kind(told_job: Job, kind: str) -> None:
    rows = [row_of(entry) for entry in Entry.objects.filter(job=told_job).order_by("seq")]
    assert seqs_of(told_job, Filter(kind=kind)) == [row.seq for row in rows if row.sort == kind]


def test_every_kind_of_row_can_be_asked_for(told_job: Job) -> None:
    rows = [row_of(entry) for entry in Entry.objects.filter(job=told_job)]
    assert {row.sort for row in rows} <= set(SORTS)
    assert {row.outcome for row in rows} - {""} <= set(ALL_OUTCOMES)
    assert {"accepted", "contested", "opened", "closed", "applied", "reached", "not reached"} <= {
        row.outcome for row in rows
    }


def test_a_value_that_looks_like_an_outcome_is_none(told_job: Job) -> None:
    entry = Entry.objects.filter(job=told_job, kind="conflict").order_by("seq")[0]
    body = entry.data
    sides = [
        {
            "value": {"action": "closed", "failed": [{}], "text": '"action":"closed"'},
            "conf": 900,
            "voices": [],
        }
    ]
    Entry.objects.create(
        job=told_job,
        seq=told_job.entries + 1,
        cycle=told_job.cycle,
        kind="conflict",
        key=entry.key,
        subject="odd",
        body=json.dumps({**body, "action": "opened", "sides": sides}),
    )
    told_job.entries += 1
    assert told_job.entries in seqs_of(told_job, Filter(outcome="opened"))
    assert told_job.entries not in seqs_of(told_job, Filter(outcome="closed"))
    assert told_job.entries not in seqs_of(told_job, Filter(outcome="failed"))


def test_filters_live_in_the_address(otto: Client, told_job: Job) -> None:
    html = otto.get(f"/jobs/{told_job.pk}/?kind=proposal&outcome=contested&key=outlook").content.decode()
    rows = html[html.index('id="journal-rows"') :]
    assert 'data-kind="proposal" data-agent="" data-key="outlook" data-outcome="contested"' in rows
    assert set(re.findall(r'data-seq="\d+" data-kind="([^"]*)"', rows)) == {"proposal"}
    assert set(re.findall(r'data-kind="proposal" data-outcome="(\w+)"', rows)) == {"contested"}
    assert "<option selected>contested</option>" in html
    assert "kind=proposal&amp;key=outlook&amp;outcome=contested&amp;before=" in html


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_given_as_a_kind_is_meant_as_one(outcome: str) -> None:
    """Addresses from before there was a filter of outcomes."""
    assert Filter.from_query({"kind": outcome}) == Filter(outcome=outcome)


def test_what_is_unknown_counts_as_none() -> None:
    assert not Filter.from_query({"kind": "x", "outcome": "y"})
    assert Filter.from_query({"kind": PROPOSAL, "outcome": "y"}).query == "kind=proposal"


def test_one_may_go_through_a_long_journal_in_both_directions(otto: Client, told_job: Job) -> None:
    older = read_page(told_job, Filter(), before=60, limit=20)
    assert [row.seq for row in older.rows] == list(range(40, 60))
    assert older.older
    assert older.newer
    onward = read_page(told_job, Filter(), after=older.end, limit=20)
    assert [row.seq for row in onward.rows] == list(range(60, 80))
    last = read_page(told_job, Filter(), after=told_job.entries - 3, limit=20)
    assert [row.seq for row in last.rows] == [told_job.entries - 2, told_job.entries - 1, told_job.entries]
    assert not last.newer
    html = otto.get(f"/jobs/{told_job.pk}/journal/?after=60&outcome=accepted").content.decode()
    assert min(int(seq) for seq in re.findall(r'data-seq="(\d+)"', html)) > 60
    assert "data-socket" in html or "Newer entries" in html


def test_an_entry_leads_to_its_place_and_to_its_moment(otto: Client, told_job: Job) -> None:
    html = otto.get(f"/jobs/{told_job.pk}/entries/50/").content.decode()
    cycle = Entry.objects.get(job=told_job, seq=50).cycle
    assert f'href="/jobs/{told_job.pk}/?cycle={cycle}"' in html
    place = re.search(r'href="(/jobs/\d+/journal/\?before=70)#e50"', html)
    assert place
    assert 'id="e50"' in otto.get(place.group(1)).content.decode()
