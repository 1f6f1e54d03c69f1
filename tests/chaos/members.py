"""The processes of one installation: started, watched, killed, frozen, and started again as `up` would."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.supervise import start_process, stop_process

ROOT = Path(__file__).resolve().parents[2]
AGAIN_AFTER = 0.3  # seconds; `up` takes 0.5
RESUMED_AFTER = 4.5  # seconds; whoever stopped itself stands still past its lease


class Process:
    """One process, by its id and a handle that is never another process'."""

    def __init__(self, pid: int, failpoints: str = "") -> None:
        self.pid = pid
        self.failpoints = failpoints
        self.began = time.monotonic()
        self._handle = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._handle)  # once nobody asks after it any more

    @property
    def is_alive(self) -> bool:
        """Whether it still runs, or stands still."""
        return not self.wait(0)

    @property
    def stands_still(self) -> bool:
        """Whether it is stopped, by SIGSTOP."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state in ("T", "t")

    def signal(self, number: int) -> None:
        """Sends a signal; one to a process that is gone is lost."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


class Starter:
    """Starts processes, by fork from one that has loaded Django; `real` ones by their own command line instead."""

    def __init__(self, env: Mapping[str, str], logs: Path) -> None:
        self._env, self._logs = dict(env), logs
        self._lock = threading.Lock()
        self._commands: list[subprocess.Popen[bytes]] = []
        log = (logs / "forkserver.log").open("ab")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.forkserver"],
            env=self._env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        if self._read() != "ready":
            raise RuntimeError((logs / "forkserver.log").read_text())

    def fork(self, kind: str, arguments: Sequence[str], name: str, env: Mapping[str, str]) -> Process:
        """A process that does what the management command `kind` does, or "web"."""
        asked = {"kind": kind, "arguments": list(arguments), "env": dict(env), "log": str(self.log_of(name))}
        with self._lock:
            assert self._server.stdin is not None
            self._server.stdin.write(json.dumps(asked) + "\n")
            self._server.stdin.flush()
            pid = int(self._read())
        return Process(pid, env.get("CONVERGE_FAILPOINTS", ""))

    def run(self, command: Sequence[str], name: str) -> Process:
        """A program of its own, that ends with this thread's process."""
        started = start_process(command, self.log_of(name), ROOT)
        self._commands.append(started)
        return Process(started.pid)

    def log_of(self, name: str) -> Path:
        """Where a process of that name writes."""
        return self._logs / f"{name}.log"

    def stop(self) -> None:
        """Ends all that was started."""
        if self._server.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._server.stdin.close()
        self._server.terminate()
        self._server.wait(10)
        for started in self._commands:
            stop_process(started, grace=2)

    def _read(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


class Member:
    """A place in the installation that one process fills at a time."""

    def __init__(
        self, name: str, kind: str, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None
    ):
        self.name, self.kind, self.arguments = name, kind, list(arguments)
        self.env = dict(env or {})
        self.process: Process | None = None
        self.held_down = False  # nobody starts it again for now
        self.deaths = 0

    @property
    def is_up(self) -> bool:
        """Whether its process runs and is not frozen."""
        process = self.process
        return process is not None and process.is_alive and not process.stands_still

    def signal(self, number: int) -> None:
        """Sends its process a signal."""
        if self.process is not None:
            self.process.signal(number)


class Keeper:
    """Starts members, and again when they end, as the supervisor of `up` does. One thread does it all."""

    def __init__(self, starter: Starter) -> None:
        self.starter = starter
        self.members: dict[str, Member] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def add(self, member: Member, failpoints: str = "") -> Member:
        """Starts one more."""
        with self._lock:
            self.members[member.name] = member
            self._launch(member, failpoints)
        return member

    def restart(self, member: Member, failpoints: str = "", **env: str) -> None:
        """Ends a member's process at once and starts another: with failpoints, if any are given."""
        with self._lock:
            if member.process is not None:
                member.process.signal(signal.SIGKILL)
                member.process.wait(5)
            self._launch(member, failpoints, env)

    def remove(self, member: Member) -> None:
        """Ends a member for good."""
        with self._lock:
            del self.members[member.name]
            if member.process is not None:
                member.process.signal(signal.SIGKILL)
                member.process.wait(5)

    def stop(self) -> None:
        """Ends the watch, and all."""
        self._ended.set()
        self._thread.join(10)
        self.starter.stop()

    def _launch(self, member: Member, failpoints: str = "", env: Mapping[str, str] | None = None) -> None:
        if member.kind == "redis":
            member.process = self.starter.run(member.arguments, member.name)
            return
        given = {**member.env, **(env or {}), "CONVERGE_FAILPOINTS": failpoints}
        member.process = self.starter.fork(member.kind, member.arguments, member.name, given)

    def _watch(self) -> None:
        down_since: dict[str, float] = {}
        still_since: dict[int, float] = {}
        while not self._ended.wait(0.05):
            with self._lock:
                for member in list(self.members.values()):
                    if member.process is None:
                        continue
                    if member.process.is_alive:
                        self._resume(member.process, still_since)
                        continue
                    since = down_since.setdefault(member.name, time.monotonic())
                    if not member.held_down and time.monotonic() - since > AGAIN_AFTER:
                        del down_since[member.name]
                        member.deaths += 1
                        self._launch(member)

    def _resume(self, process: Process, since: dict[int, float]) -> None:
        """Whoever stopped itself, at a failpoint, goes on after a while."""
        if "stop" not in process.failpoints or not process.stands_still:
            since.pop(process.pid, None)
        elif time.monotonic() - since.setdefault(process.pid, time.monotonic()) > RESUMED_AFTER:
            process.signal(signal.SIGCONT)


def read_said(path: Path) -> str:
    """What a log holds."""
    return path.read_text(errors="replace") if path.exists() else ""


def usage_of(pid: int) -> dict[str, Any]:
    """RSS in MB and open files of a process; empty if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return {
            "rss": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            "files": len(os.listdir(f"/proc/{pid}/fd")),
        }
    except (OSError, IndexError):
        return {}
