"""Two answers beside each other, and where a published confidence comes from."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.answer_diff import read_diff
from converge_site.fragments.answers import read_answer
from converge_site.fragments.discount import Discounts
from converge_site.fragments.value_diff import FieldChange, diff_values
from runtime.actions import retry_job
from runtime.models import Answer, Entry, Job
from tests.web import packs
from tests.web.cast import run_on
from tests.web.test_hostile_facts import HOSTILE, check
from tests.web.test_weather import words_of


@pytest.fixture
def healed_job(recovering_job: Job, people: dict[str, User]) -> Job:
    """A job that published answers as it climbed, the second without its search, and the third with it."""
    packs.search["fails"] = ""
    retry_job(people["otto"], recovering_job.pk, "retry-now-1")
    job = run_on(recovering_job)
    assert (job.status, job.answer_version) == ("converged", 3)
    return job


def answers_of(job: Job) -> tuple[Answer, Answer]:
    """The one that lacked the search, and the one that did not."""
    found = Answer.objects.filter(job=job)
    return found.get(version=2), found.get(version=3)


def test_what_came_what_changed_and_what_is_surer(healed_job: Job) -> None:
    diff = read_diff(healed_job, *answers_of(healed_job))
    told = {
        (group.title, row.subject): (row.look.word, [(f.name, f.old, f.new) for f in row.fields])
        for group in diff.groups
        for row in group.rows
    }
    assert told == {
        ("Web evidence", "ants"): ("added", []),
        ("Web evidence", "bees"): ("added", []),
        ("Report", "all"): ("changed", [("checked", "0", "2")]),
    }
    assert diff.unchanged == 2
    assert [(look.word, count) for look, count in diff.counts] == [("added", 2), ("changed", 1)]
    assert len(diff.gaps_gone) == 2 and not diff.gaps_new and not diff.gaps_kept


def test_the_other_way_round_facts_went_and_gaps_came(healed_job: Job) -> None:
    old, new = answers_of(healed_job)
    diff = read_diff(healed_job, new, old)
    assert [(look.word, count) for look, count in diff.counts] == [("removed", 2), ("changed", 1)]
    assert len(diff.gaps_new) == 2 and not diff.gaps_gone


def test_a_fact_that_is_only_surer_or_less_sure_is_told_so(healed_job: Job) -> None:
    old, new = answers_of(healed_job)
    for answer, conf in ((old, 500), (new, 400)):
        answer.marks = [
            {"key": "verdict", "subject": "ants", "from": 900, "conf": conf, "incomplete": "topic"}
        ]
        answer.save()
    looks = [
        row.look.word
        for g in read_diff(healed_job, old, new).groups
        for row in g.rows
        if g.title == "Verdict"
    ]
    assert looks == ["less sure"]
    looks = [
        row.look.word
        for g in read_diff(healed_job, new, old).groups
        for row in g.rows
        if g.title == "Verdict"
    ]
    assert looks == ["surer"]


def test_the_page_shows_both_sides_and_the_gaps_that_closed(vera: Client, healed_job: Job) -> None:
    html = vera.get(f"/jobs/{healed_job.pk}/answers/2..3/").content.decode()
    words = words_of(html)
    assert "What changed from answer 2 to 3" in words
    assert "Tier 2 of 3, 3 facts, 2 stated gaps" in words and "Tier 3 of 3, 5 facts, 0 stated gaps" in words
    assert re.search(r"<del><bdi>0</bdi></del>.*<ins><bdi>2</bdi></ins>", html, re.DOTALL)
    assert "2 gone, 0 new, 0 as before" in words
    assert 'href="/tools/search/"' in html


def test_the_way_there_leads_from_the_job_and_from_the_answers(vera: Client, healed_job: Job) -> None:
    link = f'href="/jobs/{healed_job.pk}/answers/2..3/"'
    assert link in vera.get(f"/jobs/{healed_job.pk}/").content.decode()
    assert vera.get(f"/jobs/{healed_job.pk}/answers/3/").content.decode().count(link) == 2
    assert "/answers/0.." not in vera.get(f"/jobs/{healed_job.pk}/answers/1/").content.decode()


def test_odd_pairs_lead_somewhere(vera: Client, healed_job: Job) -> None:
    base = f"/jobs/{healed_job.pk}/answers/"
    assert vera.get(f"{base}3..2/")["Location"] == f"{base}2..3/"
    assert vera.get(f"{base}3..3/")["Location"] == f"{base}3/"
    for pair in ("1..9", "0..1", "9..99", "1.." + "9" * 40):
        assert vera.get(f"{base}{pair}/").status_code == 404, pair


def test_the_page_shows_hostile_values_as_text(vera: Client, healed_job: Job) -> None:
    old, _ = answers_of(healed_job)
    old.gaps = [
        {"what": "failed", "agent": HOSTILE[0], "tool": HOSTILE[2], "cls": HOSTILE[1], "text": text}
        for text in HOSTILE
    ]
    old.save()
    entry = Entry.objects.filter(job=healed_job, key="verdict", subject="ants", now="fact")[0]
    entry.body = entry.body.replace('"low"', '{"a":"' + HOSTILE[0] + '"}')
    entry.save()
    later = Entry.objects.filter(job=healed_job, key="report", now="fact").order_by("-seq")[0]
    later.body = later.body.replace('"checked":2', f'"{HOSTILE[0]}":"{HOSTILE[0]}"')
    later.save()
    html = vera.get(f"/jobs/{healed_job.pk}/answers/2..3/").content.decode()
    assert "&lt;/script&gt;" in html
    check(html, "compared")


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("b", "2", "3")]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", "1", "2")]),
        ({"a": 1}, {"b": 1}, [("a", "1", ""), ("b", "", "1")]),
        (1, 1.0, []),
        (True, 1, [("", "yes", "1")]),
        ("x", "y", [("", "x", "y")]),
        ([1, 2, 3], [2, 3, 4], [("", "1", "4")]),
        ([1, 2], [2, 1], [("", "1, 2", "2, 1")]),
        ([1], {"a": 1}, [("", "1", "a: 1")]),
        (None, 0, [("", "–", "0")]),
    ],
)
def test_values_differ_field_by_field(old: Any, new: Any, changes: list[tuple[str, str, str]]) -> None:
    assert diff_values(old, new) == [FieldChange(*change) for change in changes]


def test_a_value_that_differs_in_too_many_fields_is_cut() -> None:
    changes = diff_values({str(n): n for n in range(200)}, {str(n): n + 1 for n in range(200)})
    assert len(changes) == 61
    assert changes[-1].name == "and 140 more"


def test_a_discount_is_told_as_arithmetic(vera: Client, recovering_job: Job) -> None:
    html = vera.get(f"/jobs/{recovering_job.pk}/answers/2/").content.decode()
    assert "0.72 = 0.90 × 0.8 (incomplete: web-search on search failed)" in words_of(html)
    panel = vera.get(f"/jobs/{recovering_job.pk}/").content.decode()
    assert "0.72 = 0.90 × 0.8 (incomplete: web-search on search failed)" in words_of(panel)


def words_for(job: Job, rules: list[dict[str, Any]], **fact: Any) -> str:
    pack = job.frozen_spec() | {"rules": rules}
    answer = Answer.objects.get(job=job, version=2)
    whole = {"key": "report", "subject": "all", "from": 0.9, "confidence": 0.9}
    return Discounts(job, answer, pack).words_of(whole | fact)


RULE = {
    "name": "half heard",
    "kind": "discount",
    "keys": [],
    "params": {"incomplete": 0.8, "provisional": 0.5},
}
OTHER = {"name": "shaky", "kind": "discount", "keys": ["rep.*", "report"], "params": {"incomplete": 0.5}}
ELSEWHERE = {"name": "elsewhere", "kind": "discount", "keys": ["verdict"], "params": {"incomplete": 0.1}}


def test_each_rule_that_covers_the_key_gives_its_factors(recovering_job: Job) -> None:
    incomplete = {"incomplete": "evidence.web"}
    why = "incomplete: web-search on search failed"
    assert (
        words_for(recovering_job, [RULE, OTHER, ELSEWHERE], confidence=0.36, **incomplete)
        == f"0.36 = 0.90 × 0.8 ({why}; rule half heard) × 0.5 ({why}; rule shaky)"
    )
    assert (
        words_for(recovering_job, [RULE], confidence=0.45, provisional=True)
        == "0.45 = 0.90 × 0.5 (provisional)"
    )
    assert (
        words_for(recovering_job, [RULE], confidence=0.36, provisional=True, **incomplete)
        == f"0.36 = 0.90 × 0.5 (provisional) × 0.8 ({why})"
    )


def test_without_a_discount_the_want_is_told_alone(recovering_job: Job) -> None:
    assert (
        words_for(recovering_job, [], incomplete="evidence.web") == "incomplete: web-search on search failed"
    )
    assert words_for(recovering_job, [RULE]) == ""


def test_arithmetic_that_does_not_come_out_is_not_claimed(recovering_job: Job) -> None:
    told = words_for(recovering_job, [RULE], confidence=0.5, incomplete="evidence.web")
    assert told == "0.50, from 0.90 (incomplete: web-search on search failed)"


def test_who_failed_is_found_in_the_runs_where_no_gap_tells(recovering_job: Job) -> None:
    Answer.objects.update(gaps=[])
    assert "(incomplete: web-search on search failed)" in words_for(
        recovering_job, [RULE], confidence=0.72, incomplete="evidence.web"
    )
    assert "(incomplete: topic)" in words_for(recovering_job, [RULE], confidence=0.72, incomplete="topic")


def test_an_answers_facts_carry_their_arithmetic(recovering_job: Job) -> None:
    answer = Answer.objects.get(job=recovering_job, version=2)
    told = {
        row.key: row.discount for group in read_answer(recovering_job, answer).groups for row in group.rows
    }
    assert told["report"].startswith("0.72 = 0.90 × 0.8")
    assert told["verdict"] == ""
