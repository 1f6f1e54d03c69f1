"""Answer, context and journal as files, for whoever may look at the pages. `?cycle=` takes them as they were then."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404

from converge_site.csv_rows import write_rows
from converge_site.downloads import send_file
from converge_site.fragments import exported
from converge_site.fragments.journal_filter import Filter
from converge_site.fragments.moment import Moment, read_moment
from converge_site.people import for_people
from converge_site.views.job import find_job
from runtime.models import Answer, Job
from runtime.store import answer_facts

CSV = "text/csv; charset=utf-8"
JSON = "application/json"


@for_people
def answer_csv(request: HttpRequest, job_id: int, version: int) -> StreamingHttpResponse:
    """The facts of one answer. Its stated gaps are in the JSON."""
    job = find_job(job_id)
    found = get_object_or_404(Answer, job=job, version=version)
    rows = exported.answer_rows(answer_facts(job, found))
    name = f"answer-{job.pk}-{version}-tier-{found.tier}-of-{job.top_tier}.csv"
    return send_file(request, name, CSV, write_rows(exported.ANSWER_HEAD, rows))


@for_people
def context_csv(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """What stands, a line a slot; `?key=` one key alone."""
    job, moment, key = _asked(request, job_id)
    rows = exported.context_rows(exported.read_standing(job, moment, key))
    return send_file(
        request, _name("context", job, moment, "csv"), CSV, write_rows(exported.CONTEXT_HEAD, rows)
    )


@for_people
def context_json(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """What stands, an object a slot; `?key=` one key alone."""
    job, moment, key = _asked(request, job_id)
    objects = exported.context_objects(exported.read_standing(job, moment, key))
    texts = exported.join_objects(_head(job, moment), "slots", objects)
    return send_file(request, _name("context", job, moment, "json"), JSON, texts)


@for_people
def journal_csv(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """The journal, a line an entry, under the filters of its page."""
    job, moment, _ = _asked(request, job_id)
    entries = exported.read_entries(job, Filter.from_query(request.GET.dict()), moment)
    texts = write_rows(exported.JOURNAL_HEAD, exported.journal_rows(entries))
    return send_file(request, _name("journal", job, moment, "csv"), CSV, texts)


@for_people
def journal_json(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """The journal, an object an entry, under the filters of its page."""
    job, moment, _ = _asked(request, job_id)
    entries = exported.read_entries(job, Filter.from_query(request.GET.dict()), moment)
    texts = exported.join_objects(_head(job, moment), "entries", exported.journal_objects(entries))
    return send_file(request, _name("journal", job, moment, "json"), JSON, texts)


def _asked(request: HttpRequest, job_id: int) -> tuple[Job, Moment | None, str]:
    """The job, the moment and the key of an address. Raises Http404 where there is no such thing."""
    job = find_job(job_id)
    key = request.GET.get("key", "")
    if key and key not in {spec["name"] for spec in job.frozen_spec()["keys"]}:
        raise Http404("The job's pack has no such key.")
    return job, read_moment(job, request.GET.get("cycle")), key


def _head(job: Job, moment: Moment | None) -> dict[str, Any]:
    """Which state of which job it is: the digest of a cycle stands for all that came before."""
    cycle = moment.cycle if moment else job.cycle
    digest = job.cycles.filter(number=cycle).values_list("digest", flat=True).first() or ""
    return {"job": job.pk, "pack": job.pack.name, "cycle": cycle, "digest": digest}


def _name(what: str, job: Job, moment: Moment | None, ending: str) -> str:
    return f"{what}-{job.pk}-cycle-{moment.cycle if moment else job.cycle}.{ending}"
