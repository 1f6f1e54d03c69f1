"""The test bench on the site: what is typed, what comes of it, and an address for it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.actions.rules import change_draft, draft_from, draft_rule
from runtime.actions.sync_packs import sync_packs
from runtime.models import GovernanceRule, Job, Pack

ADDRESS = "/packs/growth/bench/"
GROW = {"value": "promising", "confidence": 0.9, "agent": "opportunity"}
CUT = {"value": "saturated", "confidence": 0.4, "agent": "headroom"}


@pytest.fixture(autouse=True)
def growth(db: Any) -> Pack:
    sync_packs()
    return Pack.objects.get(name="growth")


def bench(client: Client, candidates: list[Any] | str, **more: str) -> str:
    said = candidates if isinstance(candidates, str) else json.dumps(candidates)
    response = client.get(ADDRESS, {"key": "outlook", "candidates": said, **more})
    assert response.status_code == 200
    return unescape(response.content.decode())


def because(html: str) -> str:
    return html.split('id="verdict"')[1].split("</section>")[0]


def steps(html: str) -> list[tuple[str, str]]:
    panel = html.split('id="asked-h"')[1].split("</section>")[0]
    found = re.findall(r"</svg>([^<]*)</span><span><a[^>]*><b><bdi>(.*?)</bdi>", panel)
    return [(name, result) for result, name in found]


def typed_in(html: str) -> list[dict[str, Any]]:
    """The candidates that the page was filled in with."""
    found = re.search(r'<textarea id="b-json"[^>]*>(.*?)</textarea>', html, re.DOTALL)
    assert found is not None
    typed: list[dict[str, Any]] = json.loads(found[1])
    return typed


def test_the_rule_that_decides_is_shown_with_why(vera: Client) -> None:
    html = bench(vera, [GROW, CUT])
    assert "This value stands." in because(html) and "“clear margin” decided for it" in because(html)
    assert steps(html) == [
        ("clear margin", "decided"),
        ("small stakes are weighed", "not asked"),
        ("an operator decides", "not asked"),
    ]
    assert "leads by 0.5, the margin is 0.4" in html


def test_what_no_rule_decides_is_left_to_people_or_to_an_agent(vera: Client) -> None:
    big = [{**GROW, "confidence": 0.5, "evidence": {"spend": 90_000}}, {**CUT, "evidence": {"spend": 90_000}}]
    html = bench(vera, big)
    assert "“an operator decides” leaves it to people" in because(html)
    assert dict(steps(html))["an operator decides"] == "asks people"
    small = [{**one, "evidence": {"spend": 10}} for one in big]
    html = bench(vera, small)
    assert "The agent weigh would be asked; it is not run here" in because(html)
    assert dict(steps(html))["small stakes are weighed"] == "would ask"


def test_what_is_held_names_the_rule_and_what_people_read(vera: Client) -> None:
    begun = unescape(vera.get(ADDRESS, {"key": "plan"}).content.decode())
    one = typed_in(begun)[0]
    html = bench(vera, [{**one, "value": {**one["value"], "spend": 200_000}}], key="plan")
    assert "waits for approval" in because(html) and "“somebody signs the plan” holds it" in because(html)
    assert "An operator approves a plan" in because(html)


def test_who_is_refused_is_listed_and_facts_count(vera: Client) -> None:
    company = {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}
    split = [{"value": {"total": 5000, "shares": {}}, "agent": "split"}]
    facts = json.dumps([{"key": "company", "subject": "A", "value": company}])
    html = bench(vera, split, key="plan.split", facts=facts)
    assert "Refused" in html
    html = bench(vera, [GROW, {**CUT, "value": "glowing"}, {**CUT, "agent": "nobody"}])
    refused = html.split('id="refused-h"')[1].split("</section>")[0]
    assert '"glowing" is not one of' in refused and "no agent `nobody`" in refused
    assert "All who speak agree, so no rule is asked." in because(html)
    html = bench(vera, [GROW], facts='[{"key": "nope", "subject": "A", "value": 1}]')
    assert "`nope` is no key of this pack" in html


def test_a_draft_is_put_in(vera: Client, people: dict[str, User]) -> None:
    old = GovernanceRule.objects.get(name="clear margin")
    draft = draft_from(people["otto"], old.pk)
    change_draft(people["otto"], draft.pk, {"params": {"margin": 0.9}})
    html = bench(vera, [GROW, CUT], rule=str(draft.pk))
    assert steps(html)[0] == ("clear margin 2", "did not decide")
    assert "clear margin" not in dict(steps(html))
    assert "leads by 0.5, the margin is 0.9" in html
    assert f'<option value="{draft.pk}" selected>' in html
    other = draft_rule(
        people["otto"],
        Pack.objects.get(name="claims").pk,
        {"name": "x", "kind": "operator", "keys": ["verdict"]},
    )
    assert "“clear margin” decided" in bench(vera, [GROW, CUT], rule=str(other.pk)), "of another pack"


def test_it_begins_with_what_disagreed_last(vera: Client, waiting_job: Job) -> None:
    open_one = waiting_job.conflicts.filter(kind="conflict", key="outlook").order_by("-id")[0]
    html = unescape(vera.get(ADDRESS, {"key": "outlook"}).content.decode())
    assert f"/conflicts/{open_one.pk}/" in html and open_one.subject in html
    typed = typed_in(html)
    assert {one["agent"] for one in typed} == {v["agent"] for side in open_one.sides for v in side["voices"]}
    assert all("spend" in one["evidence"] for one in typed)
    assert [name for name, _ in steps(html)][: len(open_one.trace)] == [
        step["rule"] for step in open_one.trace
    ]


def test_without_one_it_begins_with_what_the_schema_takes(vera: Client) -> None:
    for pack in Pack.objects.all():
        for key in pack.keys:
            response = vera.get(f"/packs/{pack.name}/bench/", {"key": key["name"]})
            html = unescape(response.content.decode())
            assert response.status_code == 200 and 'id="verdict"' in html, key["name"]


def test_a_short_trial_gets_an_address_and_a_long_one_none(vera: Client) -> None:
    rows = {
        "as": "rows",
        "key": "outlook",
        "subject": "Podcasts",
        "row-1-agent": "opportunity on Podcasts",
        "row-1-value": "promising",
        "row-1-confidence": "0,9",
        "row-1-evidence": '{"spend": 3}',
        "row-2-agent": "headroom",
        "row-2-value": '"saturated"',
        "row-2-confidence": "",
        "row-3-value": " ",
    }
    response = vera.post(ADDRESS, rows)
    assert response.status_code == 303
    query = parse_qs(urlsplit(response["Location"]).query)
    assert json.loads(query["candidates"][0]) == [
        {
            "value": "promising",
            "confidence": 0.9,
            "agent": "opportunity",
            "item": "Podcasts",
            "evidence": {"spend": 3},
        },
        {"value": "saturated", "confidence": 1.0, "agent": "headroom"},
    ]
    shown = unescape(vera.get(response["Location"]).content.decode())
    assert 'value="opportunity on Podcasts"' in shown and 'value="Podcasts"' in shown
    long = [{**GROW, "evidence": {"note": "x" * 3000}}, CUT]
    response = vera.post(ADDRESS, {"key": "outlook", "candidates": json.dumps(long)})
    assert response.status_code == 200 and "This value stands." in response.content.decode()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ('[{"value": 1},\n {"value": }]', "line 2, column 12"),
        ('[{"value": 1, "value": 2}]', "twice"),
        ('{"value": 1}', "Give a list of candidates"),
        ("[1]", "Candidate 1 is no object"),
        ('[{"confidence": 1}]', "Candidate 1 has no value"),
        ('[{"value": 1, "conf": 1}]', "has the field 'conf'; fields are value"),
        ('[{"value": 1, "confidence": 2}]', "Candidate 1: the confidence is '2'"),
        ('[{"value": 1, "confidence": true}]', "give a number from 0 to 1"),
        ('[{"value": 1, "agent": 3}]', "agent is a text"),
        ('[{"value": 1, "evidence": [1]}]', "evidence is an object"),
        ("[" + '{"value": 1},' * 60 + '{"value": 1}]', "the bench takes 50"),
        ("[" * 5_000, "is nested more than"),
        ("NaN", "NaN"),
        ("x" * 70_000, "the limit is 65,536"),
    ],
)
def test_what_is_wrong_with_the_list_is_told_and_kept(vera: Client, typed: str, words: str) -> None:
    response = vera.post(ADDRESS, {"key": "outlook", "candidates": typed, "subject": "a"})
    html = unescape(response.content.decode())
    assert response.status_code == 422 and words in html
    assert typed[:40] in html and "Not tried" in html


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"row-1-value": "a", "row-1-confidence": "high"}, "Row 1: the confidence is 'high'"),
        ({"row-2-value": "a", "row-2-evidence": "{"}, "Row 2: the evidence is not JSON: line 1"),
        ({"row-1-value": "{a"}, "Row 1: the value is not JSON"),
        ({"row-1-value": "a", "facts": "[{}]"}, "Fact 1 needs a key"),
        ({"row-1-value": "a", "facts": '[{"key": "a", "subject": "b"}]'}, "Fact 1 has no value"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_and_kept(vera: Client, cells: dict[str, str], words: str) -> None:
    response = vera.post(ADDRESS, {"as": "rows", "key": "outlook", **cells})
    html = unescape(response.content.decode())
    assert response.status_code == 422 and words in html
    for name, text in cells.items():
        assert f'name="{name}" value="{text}"' in html or f"{text}</textarea>" in html


def test_odd_addresses_are_answered(vera: Client) -> None:
    for query in (
        {"key": "nope"},
        {"key": "outlook", "rule": "9" * 400, "candidates": ""},
        {"key": "outlook", "candidates": "[]", "subject": "\u200b\ud7ff" * 900},
        {"candidates": '[{"value": "<script>alert(1)</script>", "agent": "<b>"}]', "facts": "\u2028"},
    ):
        response = vera.get(ADDRESS, query)
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
    assert vera.get("/packs/nope/bench/").status_code == 404
    assert "Give at least one candidate" in bench(vera, "[]")


def test_a_pack_that_cannot_run_says_so(vera: Client) -> None:
    GovernanceRule.objects.filter(name="clear margin").update(expression="1 +")
    assert "No job could run under the pack" in bench(vera, [GROW, CUT])
