"""What many tests of the runtime do: offer packs, submit jobs, run them, run commands and workers for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection

from runtime.actions import submit_job
from runtime.actions.inbox import add_row
from runtime.models import Conflict, Decision, Job
from runtime.worker import run_job

MANAGE = str(Path(settings.BASE_DIR) / "manage.py")
_receipts = iter(range(1, 1_000_000))


def person(name: str, role: str) -> User:
    """Somebody with a role, who cannot sign in: nobody here does. The same one if asked for again."""
    user, _ = User.objects.get_or_create(username=name)
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def receipt() -> str:
    """A receipt that no form had before."""
    return f"receipt-{next(_receipts)}"


def submit(pack: str, seeds: Sequence[Mapping[str, Any]], by: str = "otto") -> Job:
    """A job, submitted by an operator."""
    return submit_job(person(by, "operator"), pack, [dict(seed) for seed in seeds])


def run(job: Job) -> Job:
    """Runs a job in this process until it stops, as a worker would."""
    run_job(job.pk)
    job.refresh_from_db()
    return job


def question(job: Job, kind: str = "conflict") -> Conflict:
    """The one open conflict of a job, or its one "hold"."""
    return Conflict.objects.get(job=job, status="open", kind=kind)


def tell(job: Job, act: str, by: str, **row: Any) -> Decision:
    """Puts a row in a job's inbox past all checks but its receipt: what another version of the site might send."""
    return add_row(person(by, "operator"), job, act, receipt(), **row)


def offer(directory: Path, packs: Mapping[str, str]) -> None:
    """Installs a package that offers `packs`, `module:attribute` by name, for whoever has `directory` on its path."""
    about = (
        directory / f"{directory.name}-1.0.dist-info"
    )  # of two packages of one name, only one is looked at
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {directory.name}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {where}\n" for name, where in packs.items())
    (about / "entry_points.txt").write_text(f"[converge.packs]\n{lines}")


def database_url() -> str:
    """The database of this test, for another process."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    parts = urlsplit(os.environ["TEST_DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{name}"))


def environment(packs: Path | None = None, **more: str) -> dict[str, str]:
    """The environment of a process that shares this run's home, Redis and database, and has `packs` installed."""
    path = os.pathsep.join(filter(None, (str(packs or ""), os.environ.get("PYTHONPATH", ""))))
    here = {"CONVERGE_DATABASE_URL": database_url()} if "CONVERGE_DATABASE_URL" not in more else {}
    return {**os.environ, **here, "PYTHONPATH": path, **more}


def start_manage(*arguments: str, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A command of manage.py in a process of its own; what it says goes to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, MANAGE, *arguments], env=dict(env), stdout=file, stderr=file)


def manage(
    *arguments: str, env: Mapping[str, str], stdin: bytes = b"", timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command of manage.py to its end."""
    command = [sys.executable, MANAGE, *arguments]
    return subprocess.run(
        command, env=dict(env), input=stdin, capture_output=True, timeout=timeout, check=False
    )


def last_json(said: bytes) -> Any:
    """The object on the last line of what a command said."""
    return json.loads(said.splitlines()[-1])
