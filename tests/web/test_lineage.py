"""The pages that say why: a slot's, as picture, list and text; and a tier's."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from converge_site.fragments import lineage as lineage_fragment
from converge_site.live.pages import render_page
from runtime.actions import cancel_job, decide_conflict, submit_job
from runtime.lineage import explain_slot, explain_tier, text_of, text_of_tier
from runtime.models import Entry, Job
from tests.runtime.fixtures import Use
from tests.runtime.lineage_packs import CASES, SHOUT, case_seed, crowd_seeds, ladder_seeds
from tests.runtime.stage import question, receipt
from tests.web.cast import run_on
from tests.web.test_hostile_facts import HOSTILE, check

PACKS = "tests.runtime.lineage_packs"

Submit = Callable[..., Job]


@pytest.fixture
def play(use_packs: Use, people: dict[str, User]) -> Submit:
    """Submits a job of a pack of known lineage and runs it."""

    def submit(pack: str, seeds: list[dict[str, Any]], runs: bool = True) -> Job:
        use_packs(f"{PACKS}:{pack}")
        job = submit_job(people["otto"], pack, seeds, "Whose fault?")
        return run_on(job) if runs else job

    return submit


def slot_url(job: Job, key: str, subject: str, **more: Any) -> str:
    return f"/jobs/{job.pk}/slots/?{urlencode({'key': key, 'subject': subject, **more})}"


def read(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return answer.content.decode()


def words(html: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html.replace("</div>", "\n"))))


def panel(html: str, name: str) -> str:
    """One panel of a page."""
    return html[html.index(f'id="{name}"') :].partition("</section>")[0]


def test_slot_tells_why_it_stands_as_picture_and_list(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    html = read(vera, slot_url(job, "sentence", "clear"))
    said = panel(html, "lineage")
    assert "Why it stands" in said
    assert said.count("<rect") == 4
    assert said.count('<path class="stroke') == 4
    assert 'won by rule "clear margin"' in words(said)
    assert "case / clear" in words(said)
    assert said.count("<ul") == said.count("</ul>")
    assert said.count("<li>") == said.count("</li>")


def test_every_link_of_the_panels_leads_somewhere(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    pages = [
        slot_url(job, "sentence", "clear"),
        slot_url(job, "verdict", "close"),
        f"/jobs/{job.pk}/tiers/2/",
    ]
    for page in pages:
        html = read(vera, page)
        links = {unescape(link) for link in re.findall(r'href="(/jobs/[^"]+|/conflicts/[^"]+)"', html)}
        assert len(links) > 8
        for link in links:
            assert vera.get(link.partition("#")[0]).status_code in (200, 302), (page, link)


def test_why_not_says_who_lost_to_which_rule(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    said = words(panel(read(vera, slot_url(job, "verdict", "clear")), "why-not"))
    assert "innocent · defend on clear 0.40" in said
    assert 'lost: another side won by rule "clear margin": 0.90 against 0.40' in said
    refused = words(panel(read(vera, slot_url(job, "sentence", "mad")), "why-not"))
    assert 'rejected by constraint "no harsh words": a hundred years is enough' in refused


def test_contested_slot_keeps_its_card_and_says_why_nothing_stands(play: Submit, otto: Client) -> None:
    job = play("court", CASES)
    html = read(otto, slot_url(job, "verdict", "close"))
    assert 'id="slot-questions"' in html
    assert "Why nothing stands" in html
    assert 'id="why-not"' not in html


def test_text_form_is_plain_and_the_same_as_the_commands(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    answer = vera.get(slot_url(job, "verdict", "clear", **{"as": "text"}))
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    lineage = explain_slot(job, "verdict", "clear")
    assert lineage is not None
    assert answer.content.decode() == text_of(job, lineage)
    tier = explain_tier(job, 2)
    assert tier is not None
    answer = vera.get(f"/jobs/{job.pk}/tiers/2/?as=text")
    assert (answer["Content-Type"], answer.content.decode()) == (
        "text/plain; charset=utf-8",
        text_of_tier(job, tier),
    )
    page = read(vera, slot_url(job, "verdict", "clear"))
    copied = unescape(re.findall(r'data-copy="([^"]+)"', page)[0])
    assert vera.get(copied)["Content-Type"].startswith("text/plain")


def test_page_of_an_earlier_entry_tells_what_was_then(
    play: Submit, otto: Client, people: dict[str, User]
) -> None:
    job = play("court", CASES)
    before, cycle, conflict = job.entries, job.cycle, question(job)
    decide_conflict(people["otto"], conflict.pk, conflict.version, {"value": "guilty"}, "seen", receipt())
    job = run_on(job)
    now = read(otto, slot_url(job, "verdict", "close"))
    assert 'decided by otto: "seen"' in words(now)
    then = read(otto, slot_url(job, "verdict", "close", at=before))
    assert "Why nothing stands" in then
    assert "decided by otto" not in words(then)
    assert "<form" not in panel(then, "lineage")
    assert "data-page" not in then
    assert otto.get(slot_url(job, "verdict", "close", at=1)).status_code == 404
    assert words(read(otto, slot_url(job, "verdict", "close", cycle=cycle))) == words(then)
    assert otto.get(slot_url(job, "verdict", "close", cycle=99)).status_code == 404


def test_push_of_a_slot_is_what_its_page_shows(play: Submit, otto: Client) -> None:
    """State and pushed fragment: whatever depth was asked for."""
    job = play("ladder", ladder_seeds(20))
    for depth in ("", "9", "nonsense", "999999"):
        html = read(otto, slot_url(job, "rung", "20", **({"depth": depth} if depth else {})))
        query = unescape(re.findall(r'data-query="([^"]+)"', html)[0])
        pushed = render_page("slot", query)
        assert panel(pushed, "lineage") == panel(html, "lineage")
    assert read(otto, slot_url(job, "rung", "20")).count("<rect class") < read(
        otto, slot_url(job, "rung", "20", depth=9)
    ).count("<rect class")


def test_deep_chain_is_cut_and_goes_deeper_on_demand(play: Submit, vera: Client) -> None:
    job = play("ladder", ladder_seeds(60))
    html = read(vera, slot_url(job, "rung", "60"))
    hops = 0
    while "Go deeper" in html and hops < 20:
        html = read(vera, unescape(re.findall(r'href="([^"]+)#lineage">', html)[0]))
        hops += 1
    assert hops == 9  # up to forty levels, then the premises' own pages lead on
    assert "rung / 20" in words(html)
    assert "rung / 1 =" in words(read(vera, slot_url(job, "rung", "4")))


def test_loop_is_shown_as_a_reference_back(play: Submit, vera: Client) -> None:
    job = play("echoes", SHOUT)
    said = panel(read(vera, slot_url(job, "loud", "hill")), "lineage")
    assert "a loop, not followed" in said
    assert "↺ loud / hill" in said


def test_queries_of_the_page_do_not_grow_with_the_fan_out(play: Submit, vera: Client) -> None:
    counts = []
    for size in (3, 60, 900):
        job = play("crowd", crowd_seeds(size))
        for key in ("total", "named"):
            lineage_fragment._kept.clear()
            with CaptureQueriesContext(connection) as asked:
                read(vera, slot_url(job, key, "all"))
            counts.append(len(asked))
    assert max(counts) - min(counts) <= 4, counts


def test_page_looked_at_again_works_the_lineage_out_once(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            read(vera, slot_url(job, "sentence", "clear"))
        counts.append(len(asked))
    assert counts[1] < counts[0]


def test_push_of_a_job_at_work_is_patient_and_ends_in_the_last_state(
    play: Submit, otto: Client, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it took, a job that rests is told as it is."""
    job = play("court", CASES)
    monkeypatch.setattr(lineage_fragment, "PATIENCE", 1e9)
    query = urlencode({"job": job.pk, "key": "verdict", "subject": "close"})
    assert "Why nothing stands" in render_page("slot", query)
    conflict = question(job)
    decide_conflict(people["otto"], conflict.pk, conflict.version, {"value": "guilty"}, "", receipt())
    job = run_on(job)
    Job.objects.filter(pk=job.pk).update(status="running")
    assert "Why nothing stands" in render_page("slot", query)
    assert "Why it stands" in read(otto, slot_url(job, "verdict", "close"))
    lineage_fragment._kept.clear()
    Job.objects.filter(pk=job.pk).update(status="partial")
    assert "Why it stands" in render_page("slot", query)


def test_tier_not_reached_tells_all_that_is_missing_with_links(play: Submit, otto: Client) -> None:
    job = play("court", CASES)
    html = read(otto, f"/jobs/{job.pk}/tiers/2/")
    said = words(html)
    for sentence in (
        "verdict / close is contested",
        "sentence / grave waits for approval",
        "what `sentence` proposed was refused: no harsh words: a hundred years is enough",
        "Tier 1",
        'rule "the jury" did not decide: jury abstained',
    ):
        assert sentence in said, sentence
    assert f"/conflicts/{question(job).pk}/" in html
    assert '<svg class="lineage-graph"' in html


def test_reached_tier_shows_its_proof(play: Submit, vera: Client) -> None:
    job = play("echoes", SHOUT)
    said = words(read(vera, f"/jobs/{job.pk}/tiers/1/"))
    assert "What proves: tier 1, Quiet" in said
    assert "Reached since cycle" in said
    assert "1 voice ran, all well" in said


def test_job_page_leads_to_its_tiers(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    html = read(vera, f"/jobs/{job.pk}/")
    assert f'<a href="/jobs/{job.pk}/tiers/1/">All that tier 1 lacks, and why</a>' in html
    ladder = html[html.index('class="ladder"') :].partition("</ol>")[0]
    assert re.findall(r'<a href="([^"]+)"', ladder) == [f"/jobs/{job.pk}/tiers/{n}/" for n in (1, 2)]
    done = play("echoes", SHOUT)
    assert "What proves tier 1" in read(vera, f"/jobs/{done.pk}/")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("queued", "It waits for a runtime."),
        ("running", "Its first cycle is not done."),
        ("cancelled", "the job ended before its first cycle"),
    ],
)
def test_tier_of_a_job_without_a_cycle(play: Submit, vera: Client, status: str, says: str) -> None:
    job = play("court", CASES, runs=False)
    Job.objects.filter(pk=job.pk).update(status=status)
    said = words(read(vera, f"/jobs/{job.pk}/tiers/2/"))
    assert says in said
    assert "not judged" in said


@pytest.mark.parametrize(
    "status", ["running", "cancelled", "exhausted", "oscillating", "recovering", "failed"]
)
def test_tier_page_of_a_job_in_any_state(play: Submit, vera: Client, status: str) -> None:
    job = play("court", CASES)
    Job.objects.filter(pk=job.pk).update(status=status)
    said = words(read(vera, f"/jobs/{job.pk}/tiers/2/"))
    assert ("The job is at work: this is how it was then." in said) == (status == "running")
    assert vera.get(f"/jobs/{job.pk}/tiers/2/?as=text").status_code == 200


def test_cancelled_and_swinging_jobs_say_why_they_stopped(
    use_packs: Use, play: Submit, otto: Client, people: dict[str, User]
) -> None:
    from tests.web.packs import SEEDS

    use_packs("tests.web.packs:seesaw")
    swinging = run_on(submit_job(people["otto"], "seesaw", SEEDS, ""))
    assert swinging.status == "oscillating"
    said = words(read(otto, f"/jobs/{swinging.pk}/tiers/1/"))
    assert "Why the run stopped" in said
    assert "the same state came back" in said
    job = play("court", CASES)
    cancel_job(people["otto"], job.pk, "enough", receipt())
    job = run_on(job)
    assert job.status == "cancelled"
    assert otto.get(f"/jobs/{job.pk}/tiers/1/").status_code == 200


def test_tier_that_is_not_there_is_no_page(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    for tier in (0, 3, 99999999999999999):
        assert vera.get(f"/jobs/{job.pk}/tiers/{tier}/").status_code == 404
    assert vera.get("/jobs/987654/tiers/1/").status_code == 404
    assert Client().get(f"/jobs/{job.pk}/tiers/1/").status_code == 302


def test_hostile_names_and_values_are_text(play: Submit, otto: Client, people: dict[str, User]) -> None:
    seeds = [case_seed(name, 0.5, 0.5, years=5, note=name) for name in HOSTILE]
    seeds += [case_seed(f"{name} ok", 0.9, 0.1, years=7, note=name) for name in HOSTILE]
    job = play("court", seeds)
    conflict = question_about(job, HOSTILE[0])
    decide_conflict(people["otto"], conflict.pk, conflict.version, {"value": "guilty"}, HOSTILE[2], receipt())
    job = run_on(job)
    pages = [f"/jobs/{job.pk}/tiers/{n}/" for n in (1, 2)]
    for name in HOSTILE:
        pages += [slot_url(job, key, s) for key in ("case", "verdict") for s in (name, f"{name} ok")]
        pages.append(slot_url(job, "verdict", name, at=job.entries))
        pages.append(slot_url(job, "sentence", f"{name} ok"))
    for page in pages:
        html = read(otto, page)
        check(html, page)
        for place in re.findall(r"<svg class=\"lineage-graph\"[^>]*>", html):
            assert "hx-disable" in place
        text = otto.get(f"{page}{'&' if '?' in page else '?'}as=text")
        assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert 'decided by otto: "' in words(read(otto, slot_url(job, "verdict", HOSTILE[0])))


def question_about(job: Job, subject: str) -> Any:
    return job.conflicts.get(status="open", subject=subject)


def test_entry_says_that_it_rests_on_what_its_run_was_shown(play: Submit, vera: Client) -> None:
    job = play("court", CASES)
    entry = Entry.objects.get(job=job, agent="accuse", subject="clear")
    assert "All that its run was shown in cycle 1" in words(
        read(vera, f"/jobs/{job.pk}/entries/{entry.seq}/")
    )
    seed = Entry.objects.filter(job=job, agent="@seed")[0]
    assert "its run was shown" not in words(read(vera, f"/jobs/{job.pk}/entries/{seed.seq}/"))
