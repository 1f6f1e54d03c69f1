"""One job as one JSON object: the contract for scripts (DESIGN 10)."""

from __future__ import annotations

from typing import Any

from runtime import store
from runtime.addresses import job_address
from runtime.models import Job

_FACT_FIELDS = ("key", "subject", "value", "confidence", "agent", "provisional")


def report_job(job: Job) -> dict[str, Any]:
    """id, url, status, reason, tier, cycles, entries, digest, conflicts_open and answer, None before the first one.

    The answer has version, tier, facts (key, subject, value, confidence 0..1 discounted, agent, provisional) and gaps.
    """
    answer = store.latest_answer(job)
    return {
        "id": job.pk,
        "url": job_address(job.pk),
        "status": job.status,
        "reason": job.reason,
        "tier": job.tier,
        "cycles": job.cycle,
        "entries": job.entries,
        "digest": job.digest,
        "conflicts_open": job.conflicts_open,
        "answer": answer
        and {
            "version": answer.version,
            "tier": answer.tier,
            "facts": [{f: fact[f] for f in _FACT_FIELDS} for fact in store.answer_facts(job, answer)],
            "gaps": answer.gaps,
        },
    }
