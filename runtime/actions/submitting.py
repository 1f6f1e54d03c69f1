"""Submitting a job: one transaction, and the queue is told on commit."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import orjson
from django.db import IntegrityError, transaction

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused, SeedsRefused
from runtime.actions.seeds import check_seeds
from runtime.actions.texts import check_text
from runtime.engine import ENGINE_VERSION, PackError
from runtime.engine.compiled import compile_pack
from runtime.failpoints import failpoint
from runtime.models import Job, JobInput, Pack
from runtime.queue import enqueue_job

MAX_TITLE = 200
MAX_SUBMIT_KEY = 100


def submit_job(
    user: Person, pack_name: str, seeds: list[dict[str, Any]], title: str = "", submit_key: str | None = None
) -> Job:
    """Creates a job that freezes the pack as it is now (D6.4), and enqueues it on commit.

    A repeated `submit_key` returns the job it made the first time. Raises Refused, or SeedsRefused with `problems`.
    """
    require(user, "submit")
    if submit_key is not None:
        check_text("submit key", submit_key, MAX_SUBMIT_KEY)
    if known := _known_job(user, submit_key):
        return known
    pack = find_usable_pack(pack_name)
    check_text("title", title, MAX_TITLE)
    spec = dataclasses.replace(pack_spec_from_rows(pack), submitter=name_of(user))
    try:
        compile_pack(spec)
    except PackError as error:
        raise Refused(
            f"The pack {pack.name} cannot run as it is configured: {error}.", field="pack"
        ) from None
    problems = check_seeds(spec, seeds)
    if problems:
        raise SeedsRefused(problems)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                pack=pack,
                title=title.strip(),
                submitter_id=user.pk,
                top_tier=len(spec.tiers),
                engine_version=ENGINE_VERSION,
                submit_key=submit_key or None,
            )
            JobInput.objects.create(
                job=job,
                spec=orjson.dumps(spec.to_json(), option=orjson.OPT_SORT_KEYS).decode(),
                seeds=orjson.dumps(seeds).decode(),
            )
            record_act(user, "submit", f"job:{job.pk}", pack=pack.name, seeds=len(seeds))
            transaction.on_commit(partial(failpoint, "submit.after_commit"))
            transaction.on_commit(partial(enqueue_job, job.pk))
            failpoint("submit.before_commit")
    except IntegrityError:
        if known := _known_job(user, submit_key):  # the same form, sent twice at the same moment
            return known
        raise
    return job


def _known_job(user: Person, submit_key: str | None) -> Job | None:
    known = Job.objects.filter(submit_key=submit_key).first() if submit_key else None
    if known is not None and known.submitter_id != user.pk:
        raise Refused(
            "This form was sent by somebody else; load the page again.", field="submit_key", code="stale"
        )
    return known


def find_usable_pack(name: str) -> Pack:
    """The pack of that name that jobs can be submitted to. Raises Refused."""
    pack = Pack.objects.filter(name=name).first()
    if pack is None:
        known = ", ".join(Pack.objects.filter(enabled=True).values_list("name", flat=True)) or "none yet"
        raise Refused(f"There is no pack {name!r}; known are: {known}.", field="pack", code="gone")
    if not pack.enabled:
        raise Refused(f"The pack {name!r} is switched off; an admin can enable it.", field="pack")
    return pack
