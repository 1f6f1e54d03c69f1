"""What a terminal is told of a job that recovers."""

from __future__ import annotations

import datetime as dt
from io import StringIO

from rich.console import Console

from runtime.management.progress import Progress, draw
from runtime.models import Job
from tests.web.tools import make_recovering


def test_a_recovering_job_says_what_it_waits_for_and_when_it_goes_on(recovering_job: Job) -> None:
    today = dt.datetime.now().replace(hour=14, minute=5, second=20)
    tomorrow = today + dt.timedelta(days=1)
    job = make_recovering(recovering_job, retry_at=today.timestamp(), give_up_at=tomorrow.timestamp())
    progress = Progress(job, ["Known", "Judged", "Checked"])
    assert progress.line.endswith("waits for search, next try 14:05:20")
    assert f"It gives up {tomorrow:%Y-%m-%d} 14:05." in drawn(progress)
    assert "search did not answer in time." in drawn(progress)


def test_one_that_is_due_is_about_to_be_tried(recovering_job: Job) -> None:
    job = make_recovering(recovering_job, retry_at=None, waits_on="")
    progress = Progress(job, [])
    assert progress.line.endswith("about to be tried again")


def test_a_job_that_waits_for_no_tool_says_nothing_of_it(scouts_job: Job) -> None:
    progress = Progress(scouts_job, [])
    assert "next try" not in progress.line + drawn(progress)


def drawn(progress: Progress) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(draw(progress))
    return console.export_text()
