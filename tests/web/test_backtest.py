"""The pages of backtests: how far one is, what would have been different, and who may begin it or break it off."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.live.pages import render_page
from converge_site.live.topics import PageTopic
from runtime import backtesting
from runtime.actions import decide_conflict
from runtime.actions.backtests import start_backtest
from runtime.actions.rules import draft_rule
from runtime.backtest import KINDS
from runtime.models import Backtest, BacktestFlip, Conflict, GovernanceRule, Job
from tests.web.cast import growth_job, open_conflict, run_on


@pytest.fixture
def draft(people: dict[str, User], waiting_job: Job) -> GovernanceRule:
    """A draft under which the stronger side of an outlook wins."""
    said = {"name": "the surer one", "kind": "confidence", "keys": ["outlook"], "priority": 5}
    return draft_rule(people["otto"], waiting_job.pack_id, {**said, "params": {"margin": 0.01}}, "to try it")


@pytest.fixture
def begun(people: dict[str, User], draft: GovernanceRule) -> Backtest:
    return start_backtest(people["otto"], draft.pk)


@pytest.fixture
def done(people: dict[str, User], waiting_job: Job, begun: Backtest) -> Backtest:
    backtesting.run_slice(begun.pk)
    begun.refresh_from_db()
    assert begun.status == "done" and begun.flips
    return begun


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:500]
    return unescape(response.content.decode())


def words(html: str) -> str:
    """What stands on a page, tags left out."""
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def shown(html: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'id="flip-(\d+)"', html)]


def plant(backtest: Backtest, job: Job, count: int, **more: Any) -> list[int]:
    """Flips as a slice would keep them."""
    said = {"kind": "merge", "turn": "another", "key": "outlook", "cycle": 1, "lasting": True, **more}
    sides = {
        "before": {"status": "fact", "value": "fading"},
        "after": {"status": "fact", "value": "saturated"},
    }
    rows = [
        BacktestFlip(backtest=backtest, job=job, subject=f"s{n}", **{**sides, **said}) for n in range(count)
    ]
    made = [row.pk for row in BacktestFlip.objects.bulk_create(rows)]
    counts = {**backtest.counts, f"{said['kind']}.{said['turn']}": count}
    backtest.counts, backtest.flips = counts, sum(counts.values())
    backtest.lasting = BacktestFlip.objects.filter(backtest=backtest, lasting=True).count()
    backtest.save()
    return made


def test_everything_that_would_have_been_different_is_listed_with_links(
    vera: Client, done: Backtest, waiting_job: Job
) -> None:
    html = page(vera, f"/backtests/{done.pk}/")
    flips = list(BacktestFlip.objects.filter(backtest=done))
    assert shown(html) == [flip.pk for flip in sorted(flips, key=lambda f: f.pk)]
    for flip in flips:
        assert (
            f'href="/jobs/{waiting_job.pk}/slots/?key=outlook&subject={flip.subject.replace(" ", "+")}"'
            in html
        )
        assert flip.conflict_id and f'href="/conflicts/{flip.conflict_id}/"' in html
        row = words(html[html.index(f'id="flip-{flip.pk}"') :].partition("</tr>")[0])
        assert "contested" in row and str(flip.after["value"]) in row and "by the surer one" in row
    assert "1 of 1 job" in words(html) and "not guessed" in html
    assert f'href="/jobs/{waiting_job.pk}/"' in html


def test_a_decision_is_told_with_who_made_it_and_what_the_rule_would_have_done(
    vera: Client, people: dict[str, User], draft: GovernanceRule, waiting_job: Job
) -> None:
    conflict = open_conflict(waiting_job)
    decide_conflict(people["otto"], conflict.pk, conflict.version, {"none": True}, "", "receipt-1")
    run_on(waiting_job)
    begun = start_backtest(people["ada"], draft.pk)
    backtesting.run_slice(begun.pk)
    html = page(vera, f"/backtests/{begun.pk}/?turn=decision.otherwise")
    (pk,) = shown(html)
    row = words(html[html.index(f'id="flip-{pk}"') :].partition("</tr>")[0])
    assert "decided otherwise" in row and "otto decided that nothing stands" in row
    assert f"conflict {conflict.pk}" in row
    assert "Begun by ada" in words(html)


def test_every_kind_of_difference_has_its_words(vera: Client, done: Backtest, waiting_job: Job) -> None:
    sides = {
        "merge": ({"status": "fact", "value": 1, "confidence": 0.5, "rule": "old"}, {"status": "empty"}),
        "decision": ({"status": "decided", "by": "@clock", "value": 1}, {"status": "fact", "value": 2}),
        "hold": ({"status": "held", "value": 3, "answer": "refused"}, {"status": "fact", "brief": "long…"}),
        "refusal": ({"status": "said", "agent": "ann", "value": 4}, {"status": "refused", "why": "too much"}),
        "tier": (
            {"status": "reached", "tier": 2},
            {"status": "missed", "tier": 2, "why": "three are needed"},
        ),
        "unknown": ({"status": "contested"}, {"status": "unknown", "agent": "judge"}),
    }
    for kind, turns in KINDS.items():
        before, after = sides[kind]
        for turn in turns:
            more = {"key": "" if kind == "tier" else "outlook", "before": before, "after": after}
            plant(done, waiting_job, 1, kind=kind, turn=turn, **more)
    said = words(page(vera, f"/backtests/{done.pk}/"))
    for told in (
        *("the deadline decided", "then refused", "long…", "ann said", "too much", "three are needed"),
        *("judge would be asked", "nothing stands", "tier 2", "not on record"),
    ):
        assert told in said, told


def test_many_differences_come_in_pages_and_by_kind(vera: Client, done: Backtest, waiting_job: Job) -> None:
    first = shown(page(vera, f"/backtests/{done.pk}/"))
    others = plant(done, waiting_job, 150)
    passing = plant(done, waiting_job, 30, turn="asked", lasting=False)
    everything = first + others + passing
    html = page(vera, f"/backtests/{done.pk}/")
    assert shown(html) == everything[:100] and "page 1 of 2" in words(html)
    assert 'rel="next" href="?page=2"' in html and 'rel="prev"' not in html
    assert shown(page(vera, f"/backtests/{done.pk}/?page=2")) == everything[100:]
    asked = page(vera, f"/backtests/{done.pk}/?turn=merge.asked")
    assert shown(asked) == passing and f"30 of {len(everything)}" in words(asked)
    assert shown(page(vera, f"/backtests/{done.pk}/?lasting=1&page=2")) == (first + others)[100:]
    assert "No difference matches" in page(vera, f"/backtests/{done.pk}/?turn=merge.asked&lasting=1")
    assert "30 of these passed" in words(html)
    for odd in ("?page=0", "?page=x", "?turn=nothing", "?page=" + "9" * 30):
        assert shown(page(vera, f"/backtests/{done.pk}/{odd}")) == everything[:100]


def test_newest_jobs_come_first(vera: Client, done: Backtest, people: dict[str, User]) -> None:
    first = shown(page(vera, f"/backtests/{done.pk}/"))
    newer = plant(done, growth_job(people["otto"], "newer"), 2)
    assert shown(page(vera, f"/backtests/{done.pk}/")) == newer + first


def test_the_empty_states_are_told_apart(vera: Client, people: dict[str, User], done: Backtest) -> None:
    Backtest.objects.filter(pk=done.pk).update(flips=0, counts={}, jobs_total=212, jobs_done=212)
    assert "Nothing would have been different in 212 jobs" in words(page(vera, f"/backtests/{done.pk}/"))
    Backtest.objects.filter(pk=done.pk).update(skipped=212, reasons={"it ran without this rule": 212})
    said = words(page(vera, f"/backtests/{done.pk}/"))
    assert "No job could be compared" in said and "212 left out: it ran without this rule" in said
    Backtest.objects.filter(pk=done.pk).update(status="queued", skipped=0, jobs_done=9, reasons={})
    said = words(page(vera, f"/backtests/{done.pk}/"))
    assert (
        "Running" in said and "9 of 212 jobs" in said and "Nothing would have been different so far" in said
    )
    Backtest.objects.filter(pk=done.pk).update(status="failed", message="5 workers died of it.")
    said = words(page(vera, f"/backtests/{done.pk}/"))
    assert "Failed" in said and "5 workers died of it." in said
    Backtest.objects.filter(pk=done.pk).update(status="cancelled", jobs_done=0, message="otto broke it off.")
    said = words(page(vera, f"/backtests/{done.pk}/"))
    assert "Broken off" in said and "It ended before the first job." in said


def test_a_discount_is_said_to_change_no_merge(
    vera: Client, people: dict[str, User], waiting_job: Job
) -> None:
    said = {"name": "half", "kind": "discount", "keys": ["outlook"], "params": {"incomplete": 0.5}}
    rule = draft_rule(people["otto"], waiting_job.pack_id, said, "to try it")
    begun = start_backtest(people["otto"], rule.pk)
    backtesting.run_slice(begun.pk)
    assert "A discount lowers the confidence that answers publish" in page(vera, f"/backtests/{begun.pk}/")


def test_what_is_not_kept_is_counted(vera: Client, done: Backtest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converge_site.fragments.backtests.MOST_KEPT", 1)
    said = words(page(vera, f"/backtests/{done.pk}/"))
    assert f"The first 1 are listed; {done.flips - 1} more are only counted" in said


def test_values_from_outside_are_shown_as_text(vera: Client, done: Backtest, waiting_job: Job) -> None:
    bad = "</script><b hx-get=/>{{ 7|add:1 }}"
    plant(
        done,
        waiting_job,
        1,
        before={"status": "decided", "by": bad, "value": bad},
        after={"status": "said", "agent": bad},
    )
    html = vera.get(f"/backtests/{done.pk}/").content.decode()
    assert bad not in html and "&lt;/script&gt;" in html


# Live


def without_personal(html: str) -> str:
    """A fragment without the part that each page asks for by itself."""
    text = re.sub(r'(<div id="backtest-cancel"[^>]*>).*?</div>', r"\1</div>", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("query", ["", "turn=merge.settled&lasting=1", "page=2"])
def test_the_page_shows_what_is_pushed(vera: Client, done: Backtest, waiting_job: Job, query: str) -> None:
    plant(done, waiting_job, 120)
    html = vera.get(f"/backtests/{done.pk}/?{query}").content.decode()
    pushed_query = unescape(re.search(r'data-page="backtest" data-query="([^"]*)"', html)[1])  # type: ignore[index]
    pushed = render_page("backtest", pushed_query)
    assert without_personal(pushed).strip() in without_personal(html)


def test_progress_is_pushed_while_it_goes_on(begun: Backtest) -> None:
    topic = PageTopic("backtest", f"id={begun.pk}")
    (frame,) = topic.changes(at_once=True)
    assert 'value="0"' in json.loads(frame)["html"] and "Queued" in json.loads(frame)["html"]
    backtesting.run_slice(begun.pk)
    (frame,) = topic.changes(at_once=True)
    assert 'value="1"' in json.loads(frame)["html"] and "Done" in json.loads(frame)["html"]
    assert topic.changes(at_once=True) == []
    assert "<form" not in json.loads(frame)["html"]


def test_a_push_for_a_backtest_that_is_gone_is_empty(db: Any) -> None:
    for query in ("id=987654", "id=x", ""):
        assert render_page("backtest", query) == ""


# Beginning and breaking off


def test_the_rules_page_offers_to_try_it_and_lists_what_was_tried(
    otto: Client, vera: Client, done: Backtest, draft: GovernanceRule
) -> None:
    html = page(otto, f"/rules/{draft.pk}/")
    assert f'action="/rules/{draft.pk}/backtest/"' in html and "Try it on past jobs" in html
    assert f'href="/backtests/{done.pk}/"' in html and f"{done.flips} differences in 1 job" in html
    html = page(vera, f"/rules/{draft.pk}/")
    assert "/backtest/" not in html and "An operator can try it on past jobs" in html
    active = GovernanceRule.objects.filter(pack=draft.pack, state="active").first()
    assert active and "Try past jobs without it" in page(otto, f"/rules/{active.pk}/")


def test_otto_begins_one_and_a_second_click_is_the_same(otto: Client, draft: GovernanceRule) -> None:
    form = {"receipt": "receipt-number-1", "jobs": "20"}
    first = otto.post(f"/rules/{draft.pk}/backtest/", form)
    begun = Backtest.objects.get()
    assert (first.status_code, first["Location"]) == (302, f"/backtests/{begun.pk}/")
    assert begun.by_name == "otto"
    backtesting.run_slice(begun.pk)
    assert otto.post(f"/rules/{draft.pk}/backtest/", form)["Location"] == f"/backtests/{begun.pk}/"
    assert Backtest.objects.count() == 1


def test_what_cannot_begin_is_refused_on_a_page(otto: Client, vera: Client, draft: GovernanceRule) -> None:
    for client, rule, jobs, status, told in (
        (vera, draft.pk, "20", 403, "needs the role operator"),
        (otto, 987654, "20", 410, "not there any more"),
        (otto, draft.pk, "many", 422, "no number of jobs"),
        (otto, draft.pk, "6000", 422, "from 1 to 5,000 jobs"),
    ):
        answer = client.post(f"/rules/{rule}/backtest/", {"jobs": jobs})
        assert answer.status_code == status and told in unescape(answer.content.decode())
    assert otto.get(f"/rules/{draft.pk}/backtest/").status_code == 405
    assert not Backtest.objects.exists()


def test_only_an_operator_breaks_one_off_and_only_while_it_goes_on(
    otto: Client, vera: Client, begun: Backtest
) -> None:
    address = f"/backtests/{begun.pk}/cancel/"
    assert address in page(otto, f"/backtests/{begun.pk}/") and "Break it off" in page(otto, address)
    assert "Break it off" not in page(vera, f"/backtests/{begun.pk}/") + page(vera, address)
    assert vera.post(address).status_code == 403
    assert otto.post(address).status_code == 302
    begun.refresh_from_db()
    assert begun.status == "cancelled"
    assert "Break it off" not in page(otto, address)
    Backtest.objects.filter(pk=begun.pk).update(status="done")
    assert otto.post(address).status_code == 410


def test_a_bare_post_without_a_token_does_nothing(
    people: dict[str, User], begun: Backtest, draft: GovernanceRule
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["otto"])
    for address in (f"/backtests/{begun.pk}/cancel/", f"/rules/{draft.pk}/backtest/"):
        assert client.post(address).status_code == 403
    begun.refresh_from_db()
    assert begun.status == "queued" and Backtest.objects.count() == 1


def test_strangers_sign_in_first_and_what_is_not_there_is_not_found(
    client: Client, vera: Client, begun: Backtest
) -> None:
    assert client.get(f"/backtests/{begun.pk}/")["Location"].startswith("/sign-in/")
    assert vera.get("/backtests/987654/").status_code == 404
    assert vera.get("/backtests/987654/cancel/").status_code == 404


def test_a_page_of_a_hundred_differences_takes_few_queries(
    vera: Client, done: Backtest, people: dict[str, User], django_assert_max_num_queries: Any
) -> None:
    for n in range(5):
        plant(done, growth_job(people["otto"], f"job {n}"), 30, turn=KINDS["merge"][n % 3])
    assert Conflict.objects.count() >= 10
    with django_assert_max_num_queries(14):
        page(vera, f"/backtests/{done.pk}/")
