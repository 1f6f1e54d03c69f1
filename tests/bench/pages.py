"""How long a browser waits for the first byte of a page, with much in the database, from the web process as it runs."""

from __future__ import annotations

import http.client
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.big_job import LOTS, record_big_job
from tests.bench.house import open_house, wait_until
from tests.bench.result import Line, measured

JOBS = 100_000
JOBS_MS, JOB_MS = 100, 200
_STATUS = """CASE WHEN n % 100 < 70 THEN 'converged' WHEN n % 100 < 80 THEN 'waiting'
    WHEN n % 100 < 90 THEN 'partial' WHEN n % 100 < 97 THEN 'failed' ELSE 'cancelled' END"""
_PACKS = ("growth", "claims", "incident")
# Copies of one row, each with a title, a pack, a state and a time of its own.
_MULTIPLY = """
    WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %s)
    INSERT INTO runtime_job ({columns}) SELECT {values} FROM runtime_job, series WHERE runtime_job.id = %s
"""


def page_rows(quick: bool) -> list[Line]:
    """Jobs among 100,000, its other pages, and a job of 50,000 entries and 10,000 facts."""
    with open_house() as home:
        jobs = JOBS // 20 if quick else JOBS
        big = record_big_job(LOTS // 5 if quick else LOTS)
        _multiply_jobs(big, jobs)
        cookie = _sign_in()
        runs = 9 if quick else 41
        with _web(home) as port:
            first, warm = _first_byte(port, f"/jobs/{big.pk}/", cookie, runs)
            listed, found, waiting = (
                _first_byte(port, path, cookie, runs)[1]
                for path in ("/", "/?q=Job+77", "/?status=waiting&page=9")
            )
            timeline = _first_byte(port, f"/jobs/{big.pk}/timeline/", cookie, runs)[1]
            past = _first_byte(port, f"/jobs/{big.pk}/?cycle={big.cycle // 2}", cookie, runs)[1]
    of_jobs = f"first byte of Jobs with {jobs:,} jobs"
    of_job = f"first byte of a job of {big.entries:,} entries, {big.facts:,} facts"
    lines = [
        _goal(measured(of_jobs, "ms", listed), JOBS_MS),
        measured(f"{of_jobs}, searched", "ms", found),
        measured(f"{of_jobs}, filtered, page 9", "ms", waiting),
        _goal(measured(of_job, "ms", warm), JOB_MS),
        measured(f"{of_job}, half-way through its cycles", "ms", past),
        measured(f"{of_job}, its timeline", "ms", timeline),
    ]
    lines[3].note = f"{first:.0f} ms the first time in a new process"
    return lines


def _goal(line: Line, most: float) -> Line:
    line.goal, line.met = f"≤ {most:g} ms", line.figure <= most
    return line


def _multiply_jobs(job: Any, count: int) -> None:
    """As many rows of jobs. Their journals are of no interest to a list, and left out."""
    from django.db import connection

    from runtime.models import Job, Pack

    packs = [Pack.objects.get(name=name).pk for name in _PACKS]
    changed: dict[str, str] = {
        "title": "'Job ' || n",
        "submit_key": "NULL",
        "pack_id": f"CASE n % 3 WHEN 0 THEN {packs[0]} WHEN 1 THEN {packs[1]} ELSE {packs[2]} END",
        "status": _STATUS,
        "tier": "n % 3",
        "created_at": "datetime(created_at, '-' || n || ' minutes')",
        "updated_at": "datetime(updated_at, '-' || n || ' minutes')",
    }
    columns = [str(field.column) for field in Job._meta.concrete_fields if not field.primary_key]
    values = ", ".join(changed.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(_MULTIPLY.format(columns=", ".join(columns), values=values), [count, job.pk])
    assert Job.objects.count() == count + 1


def _sign_in() -> str:
    """The cookie of somebody who is signed in."""
    from django.conf import settings
    from django.contrib.auth.models import Group, User
    from django.test import Client

    user = User.objects.create_user("vera")
    user.groups.add(Group.objects.get_or_create(name="viewer")[0])
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


@contextmanager
def _web(home: Path) -> Iterator[int]:
    """The web process as `manage.py up` starts it; gives its port."""
    from django.conf import settings

    from runtime import supervise
    from runtime.management.commands.up import web_command

    port = _free_port()
    web = supervise.start_process(web_command(port), home / "web.log", settings.BASE_DIR)
    try:
        wait_until(lambda: _answers(port), seconds=60)
        yield port
    finally:
        supervise.stop_process(web, grace=10)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        return _ask(port, "/healthz", "")[0] == 200
    except OSError:
        return False


def _first_byte(port: int, path: str, cookie: str, runs: int) -> tuple[float, list[float]]:
    """Milliseconds to the first byte: the first time, and of each later time."""
    times = []
    for _ in range(runs + 1):
        status, took = _ask(port, path, cookie)
        assert status == 200, (path, status)
        times.append(took)
    print(f"{path}: {statistics.median(times):.1f} ms", file=sys.stderr)
    return times[0], times[1:]


def _ask(port: int, path: str, cookie: str) -> tuple[int, float]:
    """A page over a connection of its own: its status, and milliseconds from the request to the answer's first byte."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        took = (time.perf_counter() - began) * 1e3
        answer.read()
        return answer.status, took
    finally:
        connection.close()
