"""`python -m tests.runtime.scenario`: plays jobs with people in them on whatever database the environment names.

Prints one JSON object: digests by stage, which must not depend on the database, and what verify and replay found.
"""

from __future__ import annotations

import json
import os
from typing import Any


def main() -> None:
    """Prepares the database, plays, prints."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    from django.db import connection

    print(json.dumps({"vendor": connection.vendor, **play()}))


def play() -> dict[str, Any]:
    """`growth` to its end, through conflicts and an approval; then `echo` with values that a database may mangle."""
    from runtime.actions import add_fact, answer_hold, decide_conflict, undo_decision
    from runtime.actions.sync_packs import sync_packs
    from runtime.agents import find_pack
    from runtime.bundle import record_of_job
    from runtime.lease import claim_job, due_jobs
    from runtime.models import Conflict, Job
    from runtime.store import standing
    from runtime.verifying import replay_record, verify_job
    from tests.runtime.packs import ECHO_SEEDS
    from tests.runtime.stage import person, run, submit

    found: dict[str, Any] = {}

    def look(name: str, job: Job) -> None:
        verify_job(job)
        assert replay_record(record_of_job(job)).digest == job.digest
        found[name] = [job.status, job.tier, job.entries, job.digest]

    sync_packs()
    pack = find_pack("growth")
    assert pack is not None
    otto = person("otto", "operator")
    job = run(submit("growth", pack.sample_seeds()))
    look("growth waits", job)
    for row in Conflict.objects.filter(job=job, status="open").order_by("subject"):
        decide_conflict(
            otto, row.pk, row.version, {"value": "saturated"}, "so I think", f"decide {row.subject}"
        )
    look("growth is decided", run(job))
    hold = Conflict.objects.get(job=job, status="open")
    answer_hold(otto, hold.pk, hold.version, True, "", "approve")
    look("growth converged", run(job))
    undo_decision(otto, job.pk, "outlook", "Trade fairs", "", "undo")
    look("growth is undone", run(job))

    job = run(submit("echo", ECHO_SEEDS))
    odd: list[Any] = [1e22, 5e-324, -0.0, 1.0, 2**63, "ß\u2028 '%s' \\u0000", "𝔘", 0.1 + 0.2]
    for number, value in enumerate(odd):
        add_fact(otto, job.pk, "said", f"odd {number} 'x' %s", value, 0.5, "", f"add {number}")
    look("echo of odd values", run(job))
    found["odd values"] = [row.value for row in standing(job) if row.key == "echo"]

    assert due_jobs() == []
    waiting = submit("echo", ECHO_SEEDS)
    assert due_jobs() == [waiting.pk]
    found["claims"] = [claim_job(waiting.pk, "first"), claim_job(waiting.pk, "second"), due_jobs()]
    return found


if __name__ == "__main__":
    main()
