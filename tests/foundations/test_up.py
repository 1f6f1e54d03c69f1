"""`manage.py up` for real: it starts everything, repairs what dies, says what is wrong, and leaves nothing behind."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests.ports import take_ports
from tests.waiting import eventually

pytestmark = pytest.mark.early

# How long what must come is waited for, in seconds. No claim: `up` starts six processes and makes a database.
PATIENCE = 300.0
MANAGE = str(Path(settings.BASE_DIR) / "manage.py")


def free_port() -> int:
    """One after which another is free: the simulated tools are served there."""
    return take_ports(2)[0]


def environment(home: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CONVERGE_", "DJANGO_"))
    }
    return kept | {"CONVERGE_HOME": str(home), "PYTHONUNBUFFERED": "1"}


@dataclass
class Up:
    """A running `up`, read line by line."""

    home: Path
    port: int
    workers: int = 2
    more: tuple[str, ...] = ()
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        command = [sys.executable, MANAGE, "up", "--port", str(self.port), "--workers", str(self.workers)]
        command += self.more
        self.process = subprocess.Popen(
            command, env=environment(self.home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line_with(self, part: str, seconds: float = PATIENCE) -> str:
        """Returns the next line that holds `part`."""
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                pytest.fail(f"`up` did not say {part!r} but:\n" + "\n".join(self.said))
            self.said.append(line)
            if part in line:
                return line

    def children(self, word: str = "") -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in found if any(word in part for part in child.cmdline())]

    def health(self) -> tuple[int, dict[str, object]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)

    def end(self, number: signal.Signals) -> tuple[int, list[psutil.Process]]:
        """Sends a signal; returns the exit status and the children that outlived it."""
        children = self.children()
        assert children
        self.process.send_signal(number)
        status = self.process.wait(40)
        _, left = psutil.wait_procs(children, timeout=10)
        return status, left


def breaks_search(up: Up) -> bool:
    """Whether `flaky_tools search=down` finds the simulator of that `up`."""
    command = [sys.executable, MANAGE, "flaky_tools", "search=down"]
    told = subprocess.run(
        command, env=environment(up.home), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return "search: down" in told.stdout


def run_up(home: Path, port: int) -> "subprocess.CompletedProcess[str]":
    """An `up` that is expected to end by itself."""
    command = [sys.executable, MANAGE, "up", "--port", str(port)]
    return subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "home", free_port())
    try:
        running.line_with("Converge is running")
        yield running
    finally:
        running.process.kill()
        running.process.wait(10)


def test_up_serves_repairs_refuses_a_second_and_stops_clean(up: Up) -> None:
    assert up.health() == (200, {"status": "ok"})
    link = up.line_with("/sign-in/").strip()
    assert link.startswith(f"http://127.0.0.1:{up.port}/sign-in/")

    # The simulated tools stand beside it, and a command finds them through the home.
    assert eventually(lambda: breaks_search(up))
    up.line_with(f"Simulated tools, to break and to heal: http://127.0.0.1:{up.port + 1}/")

    # A killed worker is reported in one line and started again.
    up.line_with("Ctrl-C stops all")
    first = min(up.children("worker"), key=lambda child: child.pid)
    first.kill()
    line = up.line_with("worker-1 ended")
    assert "killed by SIGKILL" in line
    assert "started again in 0.5 s" in line
    assert eventually(lambda: len(up.children("worker")) == 2)

    # So is Redis, and the web process then answers as before.
    (redis,) = up.children("redis.sock")
    redis.kill()
    assert "killed by SIGKILL" in up.line_with("redis ended")
    assert eventually(lambda: len(up.children("redis.sock")) == 1)

    # A second one on the same home says so, whatever its port.
    second = run_up(up.home, free_port())
    assert second.returncode != 0
    assert f"already runs on {up.home}" in second.stderr
    assert f"process {up.process.pid}" in second.stderr

    status, left = up.end(signal.SIGINT)
    assert (status, left) == (0, [])
    assert not (up.home / "redis" / "redis.sock").exists()


def test_killed_up_leaves_no_child(up: Up) -> None:
    status, left = up.end(signal.SIGKILL)
    assert (status, left) == (-signal.SIGKILL, [])
    # The kernel dropped its lock with it. The simulated tools are no condition for anything else.
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", up.port + 1))
        taken.listen()
        again = Up(up.home, up.port, workers=1)
        try:
            again.line_with("Converge is running")
            again.line_with(f"The simulated tools are left out: port {up.port + 1} is in use.")
            assert again.children("flaky_tools") == []
            assert again.end(signal.SIGTERM) == (0, [])
        finally:
            again.process.kill()


def test_up_without_the_simulated_tools(tmp_path: Path) -> None:
    running = Up(tmp_path / "home", free_port(), workers=1, more=("--no-flaky-tools",))
    try:
        running.line_with("Ctrl-C stops all")
        assert not [line for line in running.said if "imulated tools" in line]
        assert running.children("flaky_tools") == []
        assert "flaky tools" not in (running.home / "up.lock").read_text()
    finally:
        running.process.kill()
        running.process.wait(10)


def test_busy_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run_up(tmp_path, port)
    assert refused.returncode != 0
    assert f"Port {port} on 127.0.0.1 is in use" in refused.stderr
    assert "CONVERGE_PORT" in refused.stderr
    assert not (tmp_path / "converge.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONVERGE_PORT", "eighty", "CONVERGE_PORT must be a number from 1 to 65535, not 'eighty'."),
        ("CONVERGE_DATABASE_URL", "mysql://u:secret@h/d", "Converge runs on SQLite and PostgreSQL."),
        ("CONVERGE_REDIS_URL", "localhost:6379", "must begin with redis://"),
        ("CONVERGE_ORIGINS", "converge.example.org", "each must be scheme://host"),
        ("CONVERGE_DEBUG", "yes", "CONVERGE_DEBUG must be 0 or 1"),
        ("CONVERGE_LEASE_SECONDS", "1", "CONVERGE_LEASE_SECONDS must be seconds from 3 to 300, not '1'."),
        ("CONVERGE_LEASE_SECONDS", "nan", "CONVERGE_LEASE_SECONDS must be seconds from 3 to 300, not 'nan'."),
        ("CONVERGE_RECONCILE_SECONDS", "soon", "CONVERGE_RECONCILE_SECONDS must be seconds from 0.2 to 60"),
        ("CONVERGE_GRACE_SECONDS", "1e9", "CONVERGE_GRACE_SECONDS must be seconds from 1 to 600, not '1e9'."),
        ("CONVERGE_FLAKY_TOOLS_URL", "127.0.0.1:8001", "'127.0.0.1:8001' is no http://host:port"),
        ("CONVERGE_FLAKY_TOOLS_URL", "http://localhost:8001/x", "is no http://host:port"),
        ("CONVERGE_FLAKY_TOOLS_URL", "http://localhost:80x", "CONVERGE_FLAKY_TOOLS_URL"),
    ],
)
def test_unusable_setting_is_named(tmp_path: Path, name: str, value: str, said: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import converge_site.settings"],
        cwd=settings.BASE_DIR,
        env=environment(tmp_path) | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert said in run.stderr
    assert "secret" not in run.stderr.splitlines()[-1]
