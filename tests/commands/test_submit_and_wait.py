"""`manage.py submit --wait` beside a real worker: progress, exit status, the last line."""

import os
import pty
import subprocess
import sys

import pytest

from runtime.bundle import record_of_job
from runtime.models import Job
from runtime.verifying import replay_record, verify_job
from tests.runtime.digests import growth_spec
from tests.runtime.fixtures import Use
from tests.runtime.stage import MANAGE, last_json, manage
from tests.runtime.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def worker(use_packs: Use, workers: Workers) -> Workers:
    use_packs("growth", "walk")
    workers.open_gate()
    workers.start()
    return workers


def test_status_0_only_if_the_top_tier_is_reached(worker: Workers) -> None:
    seeds = b'[{"key": "step", "subject": "1", "value": 1}]'
    reached = manage(
        "submit", "walk", "--seeds", "-", "--wait", "--json", env=worker.environment, stdin=seeds
    )
    assert reached.returncode == 0, reached.stderr
    report = last_json(reached.stdout)
    assert reached.stdout.count(b"\n") == 1
    assert (report["status"], report["tier"], len(report["answer"]["facts"])) == ("converged", 1, 14)
    job = Job.objects.get(pk=report["id"])
    assert (report["digest"], report["entries"]) == (job.digest, job.entries)

    short = manage("submit", "growth", "--wait", "--json", env=worker.environment)
    assert short.returncode == 1, short.stderr
    report = last_json(short.stdout)
    assert (report["status"], report["tier"], report["conflicts_open"]) == ("waiting", 1, 2)
    assert b"job %d: waiting for people, tier 1 of 3" % report["id"] in short.stderr
    job = Job.objects.get(pk=report["id"])
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == report["digest"]
    assert growth_spec()[0].tiers[0].name == "Signals"


def test_terminal_shows_status_tiers_conflicts_and_the_latest_entries(worker: Workers) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, MANAGE, "submit", "growth", "--wait"]
    env = {**worker.environment, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}
    process = subprocess.Popen(command, env=env, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.wait(20) == 1
    text = shown.decode()
    for part in (
        "waiting for people",
        "✓ 1 Signals",
        "· 3 Plan",
        "outlook / Trade fairs",
        "saturated 0.95",
        "answer 3",
    ):
        assert part in text
    assert f"/jobs/{Job.objects.get().pk}/" in text
    assert "Traceback" not in text
