"""A disk that is full or read-only is told in words, blamed on nobody, and costs nothing that was recorded."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client

from runtime import checks, store
from runtime.lease import claim_job
from runtime.models import Cycle, Job
from runtime.rehearsal import Rehearsal
from runtime.storage_trouble import BROKEN, FULL, READ_ONLY, Trouble, trouble_in
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import WALK_SEEDS
from tests.runtime.stage import environment, person, run, submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
sqlite_only = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="a limit of SQLite's stands in for a disk"
)

LARGE = [{"key": "said", "subject": f"hill {n}", "value": "hello " * 5_000} for n in range(20)]


def fill_disk() -> None:
    """This connection, and only this one, finds no page more."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA max_page_count = 1")


@sqlite_only
def test_full_disk_is_waited_for_under_the_same_claim(
    use_packs: Use, caplog: pytest.LogCaptureFixture
) -> None:
    use_packs("echo")
    job = submit("echo", LARGE)
    fill_disk()
    assert run(job).status == "converged"
    said = [record.getMessage() for record in caplog.records if "is full" in record.getMessage()]
    assert said and str(connection.settings_dict["NAME"]) in said[0]
    assert (job.epoch, set(Cycle.objects.filter(job=job).values_list("epoch", flat=True))) == (1, {1})
    verify_job(job)


@sqlite_only
def test_worker_on_a_disk_that_refuses_goes_on_when_it_may(use_packs: Use, workers: Workers) -> None:
    use_packs("walk")
    workers.start(1)
    job = submit("walk", WALK_SEEDS)
    workers.wait_at_gate()
    pid = workers.pid_of(job)
    committed = Cycle.objects.filter(job=job).count()
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16 * 1024, limits[1]))
    workers.open_gate()
    # Longer than the lease of these tests, which is a second, and than a few pauses.
    assert eventually(lambda: workers.said.count("refuses to write") >= 3), workers.said
    assert psutil.pid_exists(pid)
    assert Cycle.objects.filter(job=job).count() == committed
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    def is_converged() -> bool:
        job.refresh_from_db()
        return job.status == "converged"

    assert eventually(is_converged), workers.said
    assert set(Cycle.objects.filter(job=job).values_list("epoch", flat=True)) == {1}
    alone = Rehearsal(store.pack_of(job), WALK_SEEDS)
    alone.run()
    assert job.digest == alone.core.digest
    verify_job(job)


@sqlite_only
def test_job_that_cannot_even_be_claimed_stays_due(use_packs: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use_packs("echo")
    job = submit("echo", LARGE[:1])
    monkeypatch.setattr("runtime.worker.CLAIM_PAUSE", 0.0)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = 1")
    assert run(job).status == "queued"
    assert job.epoch == 0
    connection.close()
    assert claim_job(job.pk, "somebody") == 1


def post_job(client: Client) -> tuple[int, str]:
    client.raise_request_exception = False
    fields = {
        "pack": "echo",
        "mode": "paste",
        "text": json.dumps(LARGE),
        "do": "create",
        "submit_key": "once-1234",
    }
    answer = client.post("/jobs/new", fields)
    return answer.status_code, answer.content.decode()


@sqlite_only
@pytest.mark.parametrize(
    ("pragma", "status", "said"),
    [("max_page_count = 1", 507, "the disk is full"), ("query_only = 1", 503, "it cannot be written")],
)
def test_page_says_that_nothing_can_be_recorded(
    use_packs: Use,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    pragma: str,
    status: int,
    said: str,
) -> None:
    use_packs("echo")
    client.force_login(person("otto", "operator"))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute(f"PRAGMA {pragma}")
    told, page = post_job(client)
    connection.close()
    assert told == status, page
    assert f"The database takes nothing now: {said}. What you sent was not taken." in page
    assert str(settings.CONVERGE_HOME) not in page
    assert str(connection.settings_dict["NAME"]) in caplog.text
    assert Job.objects.count() == 0


def test_health_names_a_full_disk(client: Client) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, hard))
    try:
        answer = client.get("/healthz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (answer.status_code, answer.json()["causes"]) == (503, ["disk: the disk is full"])
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("database or disk is full", FULL),
        ("attempt to write a readonly database", READ_ONLY),
        ("unable to open database file", READ_ONLY),
        ("disk I/O error", BROKEN),
    ],
)
def test_what_a_database_says_is_known(said: str, kind: str) -> None:
    trouble = trouble_in(OperationalError(said))
    assert trouble is not None
    assert trouble.kind == kind
    assert trouble.place in trouble.text


def test_other_errors_are_no_trouble_of_storage() -> None:
    assert trouble_in(OperationalError("database is locked")) is None
    assert trouble_in(ValueError("disk is full")) is None
    assert trouble_in(None) is None


SWAP = "import runtime.checks as c; c.FIRST_SOUND_SQLITE = (99, 0, 0); "
RUN = "import sys; from django.core.management import execute_from_command_line as run; run(sys.argv)"


@sqlite_only
@pytest.mark.parametrize("entry", ["worker", "reconcile", "up", "web"])
def test_every_entry_refuses_an_sqlite_that_may_corrupt(tmp_path: Path, entry: str) -> None:
    code = SWAP + ("import converge_site.asgi" if entry == "web" else RUN)
    env = environment(CONVERGE_HOME=str(tmp_path), DJANGO_SETTINGS_MODULE="converge_site.settings")
    done = subprocess.run(
        [sys.executable, "-c", code, entry],
        cwd=settings.BASE_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "its WAL-reset bug" in done.stderr
    assert "pip install pysqlite3" in done.stderr and "PostgreSQL" in done.stderr


def test_database_that_may_not_be_written_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "the database /srv/converge.sqlite3"
    monkeypatch.setattr(checks, "unwritable_database", lambda: Trouble(READ_ONLY, place))
    (found,) = [problem for problem in checks.check_storage(None) if problem.is_serious()]
    assert (found.id, place in found.msg, "ls -ld" in found.msg) == ("converge.E002", True, True)
    with pytest.raises(Exception, match="cannot be written"):
        checks.require_sound_storage()


def test_disk_that_is_nearly_full_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LITTLE_BYTES", 10**18)
    found = checks.check_storage(None)
    assert {problem.id for problem in found} == {"converge.W001"}
    checks.require_sound_storage()
