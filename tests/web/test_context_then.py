"""The context: as it is and as it was after any cycle; page by page, whatever its size."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from converge_site.fragments.context import KeySet, read_context, read_key
from converge_site.fragments.moment import read_moment
from converge_site.views import job as job_view
from runtime import store
from runtime.models import Conflict, Cycle, Entry, Job
from tests.runtime.stage import tell
from tests.web.cast import open_conflict, run_on


def shown(sets: list[KeySet]) -> dict[tuple[str, str], tuple[str, Any]]:
    return {(row.key, row.subject): (row.status, row.value) for key_set in sets for row in key_set.rows}


def stood(job: Job, seq: int) -> dict[tuple[str, str], tuple[str, Any]]:
    """What stood, folded from the journal an entry at a time."""
    slots: dict[tuple[str, str], tuple[str, Any]] = {}
    for entry in Entry.objects.filter(job=job, seq__lte=seq).exclude(now="").order_by("seq"):
        slots.pop((entry.key, entry.subject), None)
        if entry.now != "empty":
            value = entry.data.get("value") if entry.now == "fact" else None
            slots[entry.key, entry.subject] = entry.now, value
    return slots


def test_each_cycle_shows_what_stood_then(waiting_job: Job) -> None:
    for number in [*range(1, waiting_job.cycle + 1), 1, 3, 2]:
        moment = read_moment(waiting_job, str(number))
        assert moment is not None
        found = shown(read_context(waiting_job, moment=moment, shown=1_000))
        assert found == stood(waiting_job, moment.seq), number
    assert shown(read_context(waiting_job, shown=1_000)) == stood(waiting_job, waiting_job.entries)


def test_what_is_read_again_after_more_happened_is_what_stands_now(waiting_job: Job, people: Any) -> None:
    read_context(waiting_job)
    conflict = open_conflict(waiting_job)
    slot = {"key": conflict.key, "subject": conflict.subject, "version": conflict.version}
    tell(waiting_job, "decide", "otto", **slot, payload={"value": conflict.sides[0]["value"]}, reason="so")
    job = run_on(waiting_job)
    assert job.entries > waiting_job.entries
    assert shown(read_context(job, shown=1_000)) == stood(job, job.entries)
    then = read_moment(job, str(waiting_job.cycle))
    row = next(
        row
        for key_set in read_context(job, [conflict.key], then, shown=1_000)
        for row in key_set.rows
        if row.subject == conflict.subject
    )
    assert (row.status, row.conflict) == ("contested", conflict.pk)
    assert row.href.endswith(f"&cycle={waiting_job.cycle}")


def test_marks_are_those_of_the_answer_of_that_moment(waiting_job: Job) -> None:
    before = Cycle.objects.filter(job=waiting_job, number=1).get()
    assert not Conflict.objects.filter(job=waiting_job, opened_cycle=1).exists()
    sets = read_context(waiting_job, moment=read_moment(waiting_job, "1"), shown=1_000)
    assert not any(row.provisional or row.incomplete for key_set in sets for row in key_set.rows)
    assert all(row.seq <= before.last_seq for key_set in sets for row in key_set.rows)


def test_pages_of_a_key_hold_each_slot_once(waiting_job: Job) -> None:
    (whole,) = [s for s in read_context(waiting_job, shown=1_000) if s.total == max_total(waiting_job)][:1]
    pages = [read_key(waiting_job, whole.name, shown=3, page=page) for page in range(1, whole.total // 3 + 2)]
    rows = [row.subject for page in pages if page for row in page.rows]
    assert rows == [row.subject for row in whole.rows]
    assert len(rows) == len(set(rows)) == whole.total
    beyond = read_key(waiting_job, whole.name, shown=3, page=1_000)
    assert beyond is not None and not beyond.rows and beyond.total == whole.total


def max_total(job: Job) -> int:
    return max(key_set.total for key_set in read_context(job))


def test_a_search_of_subjects_counts_what_it_finds(waiting_job: Job) -> None:
    name = next(s.name for s in read_context(waiting_job) if s.total == max_total(waiting_job))
    found = read_key(waiting_job, name, "ads")
    assert found is not None and found.rows
    assert all("ads" in row.subject.casefold() for row in found.rows) and found.total == len(found.rows)


def test_the_page_goes_back_and_forth_and_keeps_moment_and_search(
    otto: Client, waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_view, "read_key", partial(read_key, shown=3))
    name = next(s.name for s in read_context(waiting_job) if s.total == max_total(waiting_job))
    address = f"/jobs/{waiting_job.pk}/context/?key={name}&cycle={waiting_job.cycle}"
    page = otto.get(address).content.decode()
    assert 'rel="next"' in page and 'rel="prev"' not in page
    (link,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert f"cycle={waiting_job.cycle}" in link and "page=2" in link
    second = otto.get(f"/jobs/{waiting_job.pk}/context/{link.replace('&amp;', '&')}").content.decode()
    assert 'rel="prev"' in second and "As it was after cycle" in second
    assert "There is no such page" in otto.get(f"{address}&page=999").content.decode()


def test_reading_again_costs_the_look_at_the_head(waiting_job: Job) -> None:
    read_context(waiting_job)
    with CaptureQueriesContext(connection) as queries:
        read_context(waiting_job)
    assert len(queries) == 1


def test_the_first_facts_of_an_answer_are_those_of_the_whole_answer(waiting_job: Job) -> None:
    answer = store.latest_answer(waiting_job)
    assert answer is not None
    whole = store.answer_facts(waiting_job, answer)
    keys = sorted({fact["key"] for fact in whole}, reverse=True)
    ordered = [fact for key in keys for fact in whole if fact["key"] == key]
    assert store.first_answer_facts(waiting_job, answer, keys, 5) == ordered[:5]
    assert store.first_answer_facts(waiting_job, answer, keys, 10_000) == ordered
