"""The real stack for journeys: `manage.py up` as its own process group, and a way to look at it from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.ports import take_ports
from tests.waiting import eventually

MANAGE = str(Path(settings.BASE_DIR) / "manage.py")

_MAKE_CAST = """
from tests.web.cast import make_people
from django.contrib.auth.models import User
if not User.objects.filter(username="otto").exists(): make_people()
"""


class Stack:
    """One installation on a free port. Journals are read through the command line, as anybody would."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, tools = take_ports(2)
        self.tools_url = f"http://127.0.0.1:{tools}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.sessions: dict[str, Any] = {}  # the cookies of who has signed in already
        self._process: subprocess.Popen[bytes] | None = None
        self._commands: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes: the home and nothing of the test run's own."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("CONVERGE_", "DJANGO_"))}
        return kept | {
            "CONVERGE_HOME": str(self.home),
            "CONVERGE_PORT": str(self.port),
            "CONVERGE_FLAKY_TOOLS_URL": self.tools_url,
        }

    def start(self) -> None:
        """Starts it and waits until it answers."""
        log = (self.home / "up.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, MANAGE, "up", "--port", str(self.port), "--workers", "1"],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        assert eventually(self.is_ready, 180), (self.home / "up.log").read_text()
        self.manage("shell", "-c", _MAKE_CAST)

    def stop(self) -> None:
        """Ctrl-C."""
        if self._commands is not None:
            self._commands.communicate(timeout=20)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def is_ready(self) -> bool:
        """Whether the web process answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def manage(self, *command: str) -> str:
        """A command of this installation, in a process that is kept for the next one; what it wrote to stdout."""
        if self._commands is None:
            self._commands = subprocess.Popen(
                [sys.executable, "-m", "tests.web.commands"],
                env=self.environment,
                cwd=settings.BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._commands.stdin is not None and self._commands.stdout is not None
        self._commands.stdin.write(json.dumps(command) + "\n")
        self._commands.stdin.flush()
        assert select.select([self._commands.stdout], [], [], 180)[0], f"{command} does not come to an end"
        status, out, err = json.loads(self._commands.stdout.readline())
        assert status == 0, f"{command}: {out}{err}"
        return str(out)

    def head_of(self, job: int) -> int:
        """The last entry of a job, read from the database beside the running processes."""
        return int(self._query("SELECT entries FROM runtime_job WHERE id = ?", job))

    def is_idle(self, job: int) -> bool:
        """Whether no runtime has the job and nothing waits to be applied."""
        active = "SELECT count(*) FROM runtime_job WHERE id = ? AND status IN ('queued', 'running')"
        pending = "SELECT count(*) FROM runtime_decision WHERE job_id = ? AND status = 'pending'"
        return not self._query(active, job) and not self._query(pending, job)

    def is_tried(self) -> bool:
        """Whether no backtest is under way."""
        under_way = "SELECT count(*) FROM runtime_backtest WHERE status IN ('queued', 'running') AND id >= ?"
        return not self._query(under_way, 0)

    def _query(self, sql: str, job: int) -> int:
        address = f"file:{self.home / 'converge.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as database:
            return int(database.execute(sql, (job,)).fetchone()[0])
