"""Cancelling and retrying many jobs: what would be done is shown first, and what became of each afterwards."""

from __future__ import annotations

import html as texts
import re
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments import bulk_jobs, job_search
from converge_site.fragments.bulk_jobs import plan_matching, plan_ticked, read_seen
from converge_site.fragments.job_filter import JobFilter
from runtime.actions import Refused
from runtime.actions import bulk_jobs as actions
from runtime.actions.bulk_jobs import LONGEST, MOST_JOBS, act_on_jobs
from runtime.models import AuditRecord, Decision, Job, JobInput
from tests.web.cast import growth_job, run_on
from tests.web.test_jobs_list import make_jobs


def waiting(user: User, number: int, **fields: object) -> list[Job]:
    """Jobs that wait, as rows."""
    jobs = make_jobs(user, number, **{"status": "waiting", **fields})
    JobInput.objects.bulk_create([JobInput(job=job, spec='{"submitter": ""}', seeds="[]") for job in jobs])
    return jobs


def form_of(html: str) -> dict[str, str]:
    """The hidden fields of the form that acts."""
    form = re.search(r'<form method="post" action="/jobs/bulk/".*?</form>', html, re.DOTALL)
    assert form, html
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form.group())
    return {name: texts.unescape(value) for name, value in fields if name != "csrfmiddlewaretoken"}


def test_nothing_is_done_before_the_page_has_said_what(otto: Client, people: dict[str, User]) -> None:
    jobs = waiting(people["otto"], 3)
    make_jobs(people["otto"], 1, status="converged")
    html = otto.get("/jobs/bulk/?act=cancel&all=1&pack=growth").content.decode()
    assert "Cancel: 3 jobs?" in html
    assert "3 Waiting for people" in html
    assert "Cancel 3 jobs" in html
    for job in jobs:
        assert f"#{job.pk}" in html
    assert not Decision.objects.exists()


def test_the_form_does_it_and_leads_to_what_became_of_each(otto: Client, people: dict[str, User]) -> None:
    jobs = waiting(people["otto"], 3)
    ticked = "&".join(f"job={job.pk}" for job in jobs[:2])
    form = form_of(otto.get(f"/jobs/bulk/?act=cancel&{ticked}&status=waiting").content.decode())
    answer = otto.post("/jobs/bulk/", form | {"reason": "of no use any more"})
    assert answer["Location"] == f"/jobs/bulk/{form['receipt']}/?status=waiting"
    rows = list(Decision.objects.order_by("id").values_list("job_id", "act", "by_name", "reason", "batch"))
    assert rows == [(job.pk, "cancel", "otto", "of no use any more", form["receipt"]) for job in jobs[:2]]
    records = AuditRecord.objects.filter(act="cancel").values_list("target", flat=True)
    assert sorted(records) == [f"job:{job.pk}" for job in jobs[:2]]
    html = otto.get(answer["Location"]).content.decode()
    assert "Told to stop: 2 jobs" in html
    assert 'href="/?status=waiting"' in html


def test_a_form_sent_twice_is_one_act(otto: Client, people: dict[str, User]) -> None:
    waiting(people["otto"], 3)
    form = form_of(otto.get("/jobs/bulk/?act=cancel&all=1").content.decode())
    first, second = otto.post("/jobs/bulk/", form), otto.post("/jobs/bulk/", form)
    assert first["Location"] == second["Location"]
    assert Decision.objects.count() == 3
    # Applied meanwhile, the jobs are others than were seen; the same form still gives the same.
    Job.objects.update(status="cancelled")
    assert otto.post("/jobs/bulk/", form)["Location"] == first["Location"]
    assert Decision.objects.count() == 3
    assert "Told to stop: 3 jobs" in otto.get(first["Location"]).content.decode()


def test_a_job_that_changed_meanwhile_is_refused_with_the_reason(
    otto: Client, people: dict[str, User]
) -> None:
    settled, ended, still = waiting(people["otto"], 3)
    form = form_of(otto.get("/jobs/bulk/?act=cancel&all=1").content.decode())
    Job.objects.filter(pk=settled.pk).update(status="converged")
    Job.objects.filter(pk=ended.pk).update(status="cancelled")
    html = otto.get(otto.post("/jobs/bulk/", form)["Location"]).content.decode()
    assert list(Decision.objects.values_list("job_id", flat=True)) == [still.pk]
    assert "It has changed meanwhile: it was waiting for people, and now it is converged." in html
    assert "It has ended (cancelled)" in html
    assert "<b>1</b> done, <b>2</b> refused" in html


def test_queued_or_running_is_no_change(people: dict[str, User]) -> None:
    (job,) = waiting(people["otto"], 1, status="running")
    (asked,) = act_on_jobs(people["otto"], "cancel", [(job.pk, "queued")], receipt=str(uuid4()))
    assert asked.decision is not None


def test_what_makes_no_sense_for_a_job_is_left_alone(otto: Client, people: dict[str, User]) -> None:
    (done,) = make_jobs(people["otto"], 1, status="converged")
    (open_one,) = waiting(people["otto"], 1)
    html = otto.get(f"/jobs/bulk/?act=cancel&job={done.pk}&job={open_one.pk}").content.decode()
    assert "Cancel: 1 job?" in html
    assert re.search(rf"Left alone.*#{done.pk}", html, re.DOTALL)
    html = otto.get(f"/jobs/bulk/?act=cancel&job={done.pk}").content.decode()
    assert "There is nothing to do" in html
    assert 'action="/jobs/bulk/"' not in html
    (asked,) = act_on_jobs(people["otto"], "cancel", [(done.pk, "converged")], receipt=str(uuid4()))
    assert asked.refused is not None
    assert "nothing to cancel" in asked.refused.message


def test_retrying_takes_those_that_can_go_on(people: dict[str, User]) -> None:
    for status in ("recovering", "partial", "exhausted", "converged", "waiting", "failed"):
        make_jobs(people["otto"], 1, status=status)
    plan = plan_matching("retry", JobFilter())
    assert sorted(status for _, status in plan.seen) == ["exhausted", "partial", "recovering"]
    assert plan_matching("retry", JobFilter(status="converged")).seen == []


def test_more_than_the_most_are_taken_the_newest_first(
    otto: Client, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_jobs, "MOST_JOBS", 3)
    monkeypatch.setattr(actions, "MOST_JOBS", 3)
    jobs = waiting(people["otto"], 5)
    html = otto.get("/jobs/bulk/?act=cancel&all=1").content.decode()
    assert "5 jobs fit." in html
    assert "At most 3 are taken at a time" in html
    form = form_of(html)
    assert [pk for pk, _ in read_seen(form["seen"])] == [job.pk for job in reversed(jobs[2:])]
    too_many = " ".join(f"{job.pk}:waiting" for job in jobs)
    answer = otto.post("/jobs/bulk/", form | {"seen": too_many})
    assert answer.status_code == 422
    assert "too many at once; at most 3" in answer.content.decode()
    assert not Decision.objects.exists()


def test_all_that_match_a_text_are_those_that_were_looked_through(
    otto: Client, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "WINDOW", 4)
    jobs = waiting(people["otto"], 8)
    plan = plan_matching(
        "cancel", JobFilter(q="job", before=jobs[3].pk)
    )  # from the first page on, whatever it shows
    assert [pk for pk, _ in plan.seen] == [job.pk for job in reversed(jobs[4:])]
    assert (
        "looked for in the newest 4 jobs only"
        in otto.get("/jobs/bulk/?act=cancel&all=1&q=job").content.decode()
    )


def test_ticks_of_nothing_say_so(otto: Client, people: dict[str, User]) -> None:
    assert "Tick rows in the list first" in otto.get("/jobs/bulk/?act=cancel").content.decode()
    assert otto.get("/jobs/bulk/?act=erase").status_code == 302
    assert plan_ticked("cancel", [999]).seen == []
    assert otto.post("/jobs/bulk/", {"act": "cancel", "seen": "x:y 1: :2"}).status_code == 422
    assert otto.post("/jobs/bulk/", {"act": "erase", "seen": "1:waiting"}).status_code == 422
    assert otto.get("/jobs/bulk/no-such-form/").status_code == 404


def test_who_may_not_cancel_may_not_cancel_many(vera: Client, people: dict[str, User]) -> None:
    (job,) = waiting(people["otto"], 1)
    assert vera.get("/jobs/bulk/?act=cancel&all=1").status_code == 403
    assert vera.post("/jobs/bulk/", {"act": "cancel", "seen": f"{job.pk}:waiting"}).status_code == 403
    with pytest.raises(Refused):
        act_on_jobs(people["vera"], "cancel", [(job.pk, "waiting")], receipt=str(uuid4()))
    assert not Decision.objects.exists()
    assert 'id="bulk"' not in vera.get("/").content.decode()


def test_somebody_elses_form_gives_nothing_away(otto: Client, ada: Client, people: dict[str, User]) -> None:
    """A receipt is its sender's: with the same one another person does nothing."""
    waiting(people["otto"], 1)
    form = form_of(otto.get("/jobs/bulk/?act=cancel&all=1").content.decode())
    otto.post("/jobs/bulk/", form)
    html = ada.get(ada.post("/jobs/bulk/", form)["Location"]).content.decode()
    assert "This form was sent before, for something else" in html
    assert Decision.objects.count() == 1


def test_a_form_is_worked_on_for_so_long_and_no_longer(people: dict[str, User]) -> None:
    jobs = waiting(people["otto"], 4)
    clock: Iterator[int] = count()

    def slow() -> float:
        return next(clock) * LONGEST * 0.4

    seen = [(job.pk, "waiting") for job in jobs]
    receipt = str(uuid4())
    asked = act_on_jobs(people["otto"], "cancel", seen, receipt=receipt, clock=slow)
    assert [one.refused is None for one in asked] == [True, True, False, False]
    assert asked[-1].refused is not None
    assert "not reached in time" in asked[-1].refused.message
    again = act_on_jobs(people["otto"], "cancel", seen, receipt=receipt)  # goes on, and does no job twice
    assert all(one.decision for one in again)
    assert Decision.objects.count() == 4


def test_a_thousand_fit_in_one_form(otto: Client, people: dict[str, User]) -> None:
    (job,) = waiting(people["otto"], 1)
    Job.objects.bulk_create(
        [Job(pack=job.pack, submitter=people["otto"], status="converged") for _ in range(MOST_JOBS)]
    )
    seen = " ".join(f"{pk}:waiting" for pk in range(10**9, 10**9 + MOST_JOBS - 1)) + f" {job.pk}:waiting"
    asked = read_seen(seen)
    assert len(asked) == MOST_JOBS
    answer = otto.post("/jobs/bulk/", {"act": "cancel", "seen": seen, "receipt": str(uuid4())})
    html = otto.get(answer["Location"]).content.decode()
    assert "<b>1</b> done, <b>999</b> refused" in html
    assert len(html) < 200_000


def test_the_jobs_stop(people: dict[str, User], otto: Client) -> None:
    jobs = [growth_job(people["otto"], title) for title in ("one", "two")]
    form = form_of(otto.get("/jobs/bulk/?act=cancel&all=1").content.decode())
    location = otto.post("/jobs/bulk/", form)["Location"]
    assert [run_on(job).status for job in jobs] == ["cancelled", "cancelled"]
    assert otto.get(location).content.decode().count("applied</span>") == 2
