"""Many recorded jobs without running each. A journal says nothing of its job's number: a copy of one's rows is a job of
its own, which merges again like the one that was run."""

from __future__ import annotations

from typing import Any

from runtime.models import Cycle, Entry, Job, JobInput


def copy_job(job: Job, count: int) -> list[int]:
    """The recorded job so many times more; their ids."""
    parts: tuple[Any, ...] = (JobInput, Cycle, Entry)
    made = []
    for _ in range(count):
        copy = Job.objects.get(pk=job.pk)
        copy.pk, copy.submit_key = None, None
        made.append(copy)
    Job.objects.bulk_create(made)
    for model in parts:
        rows = [
            {name: value for name, value in row.items() if name != "id"}
            for row in model.objects.filter(job=job).values()
        ]
        copied = (model(**{**row, "job_id": copy.pk}) for copy in made for row in rows)
        model.objects.bulk_create(copied, batch_size=2_000)
    return [copy.pk for copy in made]
