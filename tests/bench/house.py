"""A home of its own for benchmarks that need the database, the queue or a worker; gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKS = "tests.bench.packs"
_POLL_SECONDS = 0.001


@contextmanager
def open_house() -> Iterator[Path]:
    """Django on the home that CONVERGE_HOME names: database migrated, packs written, embedded Redis running."""
    home = Path(os.environ["CONVERGE_HOME"])
    offer_packs(home / "site")
    os.environ["DJANGO_SETTINGS_MODULE"] = "converge_site.settings"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    from runtime import embedded_redis, supervise

    call_command("migrate", interactive=False, verbosity=0)
    with open(os.devnull, "w") as nowhere:
        call_command("sync_packs", stdout=nowhere)
    socket = settings.CONVERGE_REDIS_SOCKET
    assert socket is not None  # CONVERGE_REDIS_URL is not handed on
    command = embedded_redis.server_command(embedded_redis.find_server(), socket)
    server = supervise.start_process(command, home / "redis.log")
    try:
        embedded_redis.wait_until_it_answers(settings.CONVERGE_REDIS_URL, seconds=15)
        yield home
    finally:
        connections.close_all()
        supervise.stop_process(server, grace=5)
        # A home too deep for a socket's path has it elsewhere.
        shutil.rmtree(socket.parent, ignore_errors=True)


def offer_packs(folder: Path) -> None:
    """Installs the packs that are measured the way others install theirs: through an entry point, in this process and
    in the workers that it starts."""
    info = folder / "bench_packs-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-packs\nVersion: 0\n")
    (info / "entry_points.txt").write_text(
        f"[converge.packs]\nbench-chain = {PACKS}:chain\nbench-small = {PACKS}:small\n"
        f"bench-stream = {PACKS}:stream\n"
    )
    sys.path.append(str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parents[2]), str(folder)])


@contextmanager
def running_worker(home: Path) -> Iterator[None]:
    """A worker process as `manage.py up` starts it, ready to take jobs."""
    from django.conf import settings

    from runtime import supervise
    from runtime.queue_state import queue_state

    command: Sequence[str] = (sys.executable, str(settings.BASE_DIR / "manage.py"), "worker")
    worker: subprocess.Popen[bytes] = supervise.start_process(command, home / "worker.log", settings.BASE_DIR)
    try:
        wait_until(lambda: any(w.state == "idle" for w in queue_state().workers), seconds=60)
        yield
    finally:
        supervise.stop_process(worker, grace=10)


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    """Looks every millisecond. Raises TimeoutError."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {seconds:g} s")
        pause.wait(_POLL_SECONDS)


def make_submitter() -> Any:
    """A person who may submit jobs."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("bench")


def fdatasync_ms(folder: Path, runs: int) -> list[float]:
    """What this disc takes to make 4 KB durable, in milliseconds: no durable step can cost less."""
    found: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(runs):
            began = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
            found.append((time.perf_counter() - began) * 1e3)
    return found
