"""The bar that goes through a job's cycles: which moment is shown, those beside it, and where the present is."""

from __future__ import annotations

from dataclasses import dataclass

from converge_site.fragments.moment import Moment
from converge_site.fragments.words import Look, look_of_status
from runtime.models import Job


@dataclass(frozen=True, slots=True)
class Present:
    """Where a job is now, for whoever looks at its past."""

    job_id: int
    cycle: int
    look: Look


@dataclass(frozen=True, slots=True)
class Bar:
    """`cycle` is what is shown, `head` the newest there is; `previous` and `next` are None at the ends."""

    cycle: int
    head: int
    previous: int | None
    next: int | None
    present: Present | None = None


def read_bar(job: Job, moment: Moment | None = None) -> Bar:
    """The bar of the present, or of a moment."""
    previous = job.cycle - 1 if job.cycle > 1 else None
    if moment is None:
        return Bar(job.cycle, job.cycle, previous, None)
    following = moment.cycle + 1 if moment.cycle < moment.head_cycle else None
    return Bar(moment.cycle, moment.head_cycle, previous, following, read_present(job.pk))


def read_present(job_id: int) -> Present | None:
    """Where a job is now; None if it is gone."""
    found = Job.objects.filter(pk=job_id).values_list("cycle", "status").first()
    return None if found is None else Present(job_id, found[0], look_of_status(found[1]))
