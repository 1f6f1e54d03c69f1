"""What whoever has the database, and not the key, could do to a record."""

from __future__ import annotations

from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.engine import GENESIS
from runtime.engine.log import chain
from runtime.models import Answer, Conflict, Cycle, Decision, Entry, Job
from runtime.signing import SigningKey
from tests.commands.said import Said, call


def verify(job: Job, *more: str) -> Said:
    return call("verify", str(job.pk), *more)


def rechain(job: Job) -> None:
    """What a careful forger does: digests of cycles and job are made to fit."""
    digest = GENESIS
    for cycle in Cycle.objects.filter(job=job).order_by("number"):
        bodies = (
            Entry.objects.filter(job=job, cycle=cycle.number).order_by("seq").values_list("body", flat=True)
        )
        digest = chain(digest, [body.encode() for body in bodies])
        Cycle.objects.filter(pk=cycle.pk).update(digest=digest)
    Job.objects.filter(pk=job.pk).update(digest=digest)


def rewrite(job: Job) -> None:
    """A judge's reason, which nothing else is derived from."""
    entry = Entry.objects.get(job=job, agent="lenient", subject="clear")
    body = orjson.loads(entry.body) | {"evidence": {"said": "by nobody"}}
    Entry.objects.filter(pk=entry.pk).update(body=orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())
    rechain(job)


ROWS = (Entry, Cycle, Answer, Conflict, Decision)


def snapshot(job: Job) -> list[Any]:
    """Everything the database holds of a job, as a backup would."""
    rows = [row for model in ROWS for row in model._default_manager.filter(job=job)]
    return [Job.objects.get(pk=job.pk), *rows]


def put_back(job: Job, rows: list[Any]) -> None:
    """The job as it was, in every table: what came since never happened."""
    for model in ROWS:
        model._default_manager.filter(job=job).delete()
    for row in rows:
        row.save()


def own_key_of_a_forger() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate())
