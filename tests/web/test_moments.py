"""Time travel: the page of a job at cycle n is what a page showed that was loaded right after cycle n."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import Http404
from django.test import Client

from converge_site.fragments.journal import read_page
from converge_site.fragments.journal_filter import Filter
from converge_site.fragments.moment import read_moment
from converge_site.fragments.panels import render_keys, render_panels, render_row
from converge_site.fragments.then import job_then
from runtime import worker
from runtime.actions import (
    answer_hold,
    cancel_job,
    decide_conflict,
    decide_slot,
    retry_job,
    submit_job,
    undo_decision,
)
from runtime.models import Conflict, Cycle, Job
from tests.runtime.fixtures import Use
from tests.runtime.lineage_packs import CASES
from tests.web import packs
from tests.web.cast import growth_job, run_on
from tests.web.normal import differences
from tests.web.tools import make_tool

Seen = dict[tuple[int, int], dict[str, str]]  # job and cycle -> panels as they were then


def look(job: Job) -> dict[str, str]:
    """All that a page shows of a job now."""
    rows = "".join(render_row(row) for row in read_page(job, Filter()).rows)
    keys = {f"key:{name}": html for name, html in render_keys(job).items()}
    return {**render_panels(job), **keys, "journal": rows, "row": summary(job)}


def look_back(job: Job, cycle: int) -> dict[str, str]:
    """All that a page shows of a moment."""
    moment = read_moment(job, str(cycle))
    assert moment is not None
    rows = "".join(render_row(row) for row in read_page(job, Filter(), moment=moment).rows)
    keys = {f"key:{name}": html for name, html in render_keys(job, moment=moment).items()}
    panels = render_panels(job, None, moment)
    return {**panels, **keys, "journal": rows, "row": summary(job_then(job, moment))}


def summary(job: Job) -> str:
    """The row's own words and figures, where the journal is what tells them."""
    names = ("status", "reason", "tier", "cycle", "entries", "facts", "conflicts_open", "holds_open")
    more = ("answer_version", "activity", "worker", "digest", "calls", "tokens")
    told = [f"{name}: {getattr(job, name)!r}" for name in (*names, *more)]
    return "\n".join([*told, f"causes: {json.dumps(job.causes, sort_keys=True)}"])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What pages showed that were loaded right after each cycle, as jobs run on."""
    found: Seen = {}

    def record(job_id: int, first: int, last: int) -> None:
        if last:
            job = Job.objects.select_related("pack", "submitter").get(pk=job_id)
            found[job_id, job.cycle] = look(job)

    monkeypatch.setattr(worker, "publish_job_event", record)
    return found


def check_all(job: Job, seen: Seen) -> None:
    """Each cycle, looked back at from the present, against what was seen then."""
    job = Job.objects.select_related("pack", "submitter").get(pk=job.pk)
    assert sorted(cycle for pk, cycle in seen if pk == job.pk) == list(range(1, job.cycle + 1))
    for cycle in range(1, job.cycle + 1):
        then, told = seen[job.pk, cycle], look_back(job, cycle)
        assert then.keys() == told.keys()
        for name in then:
            different = differences(then[name], told[name])
            assert not different, "\n".join([f"cycle {cycle}, {name}", *different])


def answer_all(job: Job, user: User, choose: Callable[[Conflict], dict[str, Any]]) -> Job:
    for conflict in Conflict.objects.filter(job=job, status="open").order_by("id"):
        receipt = f"answer {conflict.pk} {conflict.version}"
        if conflict.kind == "hold":
            answer_hold(user, conflict.pk, conflict.version, True, "fine", receipt)
        else:
            decide_conflict(user, conflict.pk, conflict.version, choose(conflict), "so I think", receipt)
    return run_on(job)


def keep_strongest(conflict: Conflict) -> dict[str, Any]:
    return {"value": conflict.sides[0]["value"]}


def test_every_cycle_of_a_job_with_people_in_it(seen: Seen, people: dict[str, User]) -> None:
    otto = people["otto"]
    job = growth_job(otto)
    first = Conflict.objects.filter(job=job, status="open").order_by("id")[0]
    decide_conflict(otto, first.pk, first.version, keep_strongest(first), "", "the first")
    job = run_on(job)
    for _ in range(3):
        job = answer_all(job, otto, keep_strongest)
    assert job.status == "converged"
    # A tier is lost again, and won back.
    undo_decision(otto, job.pk, first.key, first.subject, "was wrong", "undo")
    job = run_on(job)
    assert job.tier < job.top_tier
    for _ in range(3):
        job = answer_all(job, otto, lambda conflict: {"value": conflict.sides[-1]["value"]})
    tiers = list(Cycle.objects.filter(job=job).order_by("number").values_list("tier", flat=True))
    assert tiers != sorted(tiers), "no tier was lost"
    assert job.cycle > 8
    check_all(job, seen)


def test_every_cycle_of_a_job_that_recovers(
    seen: Seen, use_packs: Use, people: dict[str, User], request: pytest.FixtureRequest
) -> None:
    use_packs("tests.web.packs:scouts")
    make_tool()
    packs.search["fails"] = "timeout"
    request.addfinalizer(lambda: packs.search.update(fails=""))
    job = run_on(submit_job(people["otto"], "scouts", packs.TOPICS, "Two topics"))
    assert job.status == "recovering"
    retry_job(people["otto"], job.pk, "once more")
    job = run_on(job)
    packs.search["fails"] = ""
    retry_job(people["otto"], job.pk, "and again")
    assert run_on(job).status == "converged"
    check_all(job, seen)


def test_every_cycle_of_a_job_that_swings(seen: Seen, use_packs: Use, people: dict[str, User]) -> None:
    use_packs("tests.web.packs:seesaw")
    job = run_on(submit_job(people["otto"], "seesaw", packs.SEEDS))
    assert job.status == "oscillating"
    decide_slot(people["otto"], job.pk, "left", "x", "", {"value": 0}, "", "settle it")
    job = run_on(job)
    check_all(job, seen)


def test_every_cycle_of_a_case_before_a_jury(seen: Seen, use_packs: Use, people: dict[str, User]) -> None:
    use_packs("tests.runtime.lineage_packs:court")
    job = run_on(submit_job(people["otto"], "court", CASES))
    for _ in range(3):
        job = answer_all(job, people["otto"], keep_strongest)
    cancel_job(people["otto"], job.pk, "enough", "stop it")
    job = run_on(job)
    check_all(job, seen)


def test_the_page_shows_a_moment_and_says_so(otto: Client, waiting_job: Job) -> None:
    html = otto.get(f"/jobs/{waiting_job.pk}/?cycle=2").content.decode()
    assert re.search(rf"The past: cycle 2</b> of {waiting_job.cycle}", html)
    assert "Back to live" in html
    assert f'href="/jobs/{waiting_job.pk}/?cycle=1"' in html
    assert f'href="/jobs/{waiting_job.pk}/?cycle=3"' in html
    assert 'data-page="moment"' in html
    # Nothing can be acted on, and nothing of the present is pushed into it.
    main = html[html.index("<main") : html.index("</main>")]
    assert "data-personal" not in main
    assert "data-socket" not in main
    assert "data-last" not in main
    assert 'method="post"' not in main


def test_the_last_cycle_is_a_moment_whose_address_stays(otto: Client, waiting_job: Job) -> None:
    html = otto.get(f"/jobs/{waiting_job.pk}/?cycle={waiting_job.cycle}").content.decode()
    assert f"The past: cycle {waiting_job.cycle}</b> of {waiting_job.cycle}" in html
    assert 'id="moment-next"' not in html


def test_what_was_decided_since_is_told_on_the_card(
    otto: Client, waiting_job: Job, people: dict[str, User]
) -> None:
    cycle = waiting_job.cycle
    conflict = Conflict.objects.filter(job=waiting_job, status="open", kind="conflict").order_by("id")[0]
    page = f"/jobs/{waiting_job.pk}/?cycle={cycle}"
    assert "<b>Still open</b>" in otto.get(page).content.decode()
    decide_conflict(people["otto"], conflict.pk, conflict.version, keep_strongest(conflict), "I know it", "d")
    job = run_on(waiting_job)
    html = otto.get(page).content.decode()
    card = html[html.index(f'id="conflict-{conflict.pk}"') :]
    card = card[: card.index("</article>")]
    assert f'<b>Since then</b> closed in <a href="/jobs/{job.pk}/?cycle={cycle + 1}">' in card
    assert "<b>otto</b>" in card
    assert "I know it" in card
    assert f'href="/conflicts/{conflict.pk}/"' in card
    assert "<form" not in card


@pytest.mark.parametrize("text", ["0", "-1", "x", "999", "1.5", "9" * 40, "٣"])
def test_a_cycle_that_is_not_there_is_said_plainly(otto: Client, waiting_job: Job, text: str) -> None:
    for address in ("", "journal/"):
        answer = otto.get(f"/jobs/{waiting_job.pk}/{address}", {"cycle": text})
        assert answer.status_code == 404
        assert f"It is at cycle {waiting_job.cycle}." in answer.content.decode()
    with pytest.raises(Http404):
        read_moment(waiting_job, text)


def test_no_cycle_is_the_present(waiting_job: Job) -> None:
    assert read_moment(waiting_job, "") is None
    assert read_moment(waiting_job, None) is None


def test_links_to_other_moments_keep_the_filters(otto: Client, waiting_job: Job) -> None:
    html = otto.get(f"/jobs/{waiting_job.pk}/?cycle=2&kind=run&outcome=failed").content.decode()
    assert f'href="/jobs/{waiting_job.pk}/?kind=run&amp;outcome=failed&amp;cycle=3"' in html
    assert '<input type="hidden" name="outcome" value="failed">' in html
    assert f'href="/jobs/{waiting_job.pk}/?kind=run&amp;outcome=failed"' in html


def test_the_journal_ends_with_the_cycle(otto: Client, waiting_job: Job) -> None:
    last = Cycle.objects.get(job=waiting_job, number=2).last_seq
    for address in ("", "journal/"):
        html = otto.get(f"/jobs/{waiting_job.pk}/{address}?cycle=2").content.decode()
        seqs = [int(seq) for seq in re.findall(r'data-seq="(\d+)"', html)]
        assert seqs[-1] == last
        assert seqs == list(range(seqs[0], last + 1))
