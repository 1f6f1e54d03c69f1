"""Keeps a set of child processes running, and leaves none behind.

What makes sure of that: each child leads a process group of its own, so Ctrl-C reaches only the supervisor, which
stops them in order; and on Linux the kernel kills a child when its supervisor dies in any way (PR_SET_PDEATHSIG).
One thread does everything: that signal is tied to the thread that started the child.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.problem_lines import ProblemTail

PR_SET_PDEATHSIG = 1
TICK_SECONDS = 0.25
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
# A child that ran this long was well: its next death starts from the first delay again.
WELL_AFTER_SECONDS = 30.0
GRACE_SECONDS = 10.0  # what a child that is asked to end gets, if nobody says otherwise


@dataclass(frozen=True)
class ChildSpec:
    """What to run. Children with a lower `stop_rank` are stopped first; equal ones together."""

    name: str
    command: Sequence[str]
    stop_rank: int = 0


@dataclass
class Child:
    """A child process and what is known of its health."""

    spec: ChildSpec
    log: Path
    tail: ProblemTail
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    delay: float = FIRST_DELAY_SECONDS
    start_at: float = field(default=0.0)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def start_process(command: Sequence[str], log: Path, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    """Starts a process that writes to `log`, leads its own group and does not outlive this thread's process."""
    parent = os.getpid()

    def die_with_parent() -> None:
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the call above
                os._exit(1)

    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            process_group=0,
            preexec_fn=die_with_parent,
        )


def stop_process(process: "subprocess.Popen[bytes]", grace: float) -> None:
    """Asks a process to end and, after `grace` seconds, makes it and its group end."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    kill_group(process)


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Ends whatever is left of the group that `process` led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Supervisor:
    """Starts children, starts again those that end, and stops them all when a signal comes.

    `report` gets each message as one line of plain text. Children that are asked to end get `grace` seconds.
    """

    def __init__(
        self, logs: Path, cwd: Path, report: Callable[[str], None], grace: float = GRACE_SECONDS
    ) -> None:
        self._grace = grace
        self._logs = logs
        self._cwd = cwd
        self._report = report
        self._children: list[Child] = []
        self._signals = 0
        self._wake_reader, self._wake_writer = socket.socketpair()

    def add(self, spec: ChildSpec) -> None:
        """Starts one more child."""
        log = self._logs / f"{spec.name}.log"
        child = Child(spec=spec, log=log, tail=ProblemTail(spec.name, log))
        self._children.append(child)
        self._start(child)

    def run_until_signal(self) -> None:
        """Watches the children until SIGINT, SIGTERM or SIGHUP."""
        while not self._signals:
            self._watch()
            self._wait_tick()

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Watches the children until `condition` holds. False if time ran out or a signal came first."""
        deadline = time.monotonic() + seconds
        while not self._signals and time.monotonic() < deadline:
            self._watch()
            if condition():
                return True
            self._wait_tick(0.05)
        return False

    @property
    def is_stopping(self) -> bool:
        """Whether a signal asked for the end."""
        return self._signals > 0

    @contextlib.contextmanager
    def taking_signals(self) -> Iterator[None]:
        """Within it, signals end the watch instead of the process; at its end no child is left."""
        names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.getsignal(number) for number in names}
        for endpoint in (self._wake_reader, self._wake_writer):
            endpoint.setblocking(False)
        # Woken through a file descriptor: a handler that sets an Event can deadlock with the wait it interrupts.
        wakeup_before = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in names:
            signal.signal(number, self._note_signal)
        try:
            yield
        finally:
            self._stop_all()
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note_signal(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._signals += 1

    def _wait_tick(self, seconds: float = TICK_SECONDS) -> None:
        ready, _, _ = select.select([self._wake_reader], [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_reader.recv(4096)

    def _start(self, child: Child) -> None:
        child.process = start_process(child.spec.command, child.log, self._cwd)
        child.started = time.monotonic()

    def _watch(self) -> None:
        now = time.monotonic()
        for child in self._children:
            for line in child.tail.read():
                self._report(line)
            if child.is_running:
                continue
            if child.process is not None:
                self._bury(child, now)
            elif now >= child.start_at:
                self._start(child)

    def _bury(self, child: Child, now: float) -> None:
        assert child.process is not None
        lived = now - child.started
        if lived >= WELL_AFTER_SECONDS:
            child.delay = FIRST_DELAY_SECONDS
        kill_group(child.process)
        self._report(
            f"{child.spec.name} ended ({describe_end(child.process.returncode)}, after {lived:.0f} s); "
            f"it is started again in {child.delay:g} s. Log: {child.log}"
        )
        child.process = None
        child.start_at = now + child.delay
        child.delay = min(child.delay * 2, LONGEST_DELAY_SECONDS)

    def _stop_all(self) -> None:
        """Stops rank by rank. A second signal does not wait for anybody."""
        asked = self._signals
        for rank in sorted({child.spec.stop_rank for child in self._children}):
            running = [c for c in self._children if c.spec.stop_rank == rank and c.process is not None]
            for child in running:
                assert child.process is not None
                if child.is_running:
                    child.process.terminate()
            deadline = time.monotonic() + self._grace
            while (
                any(c.is_running for c in running)
                and time.monotonic() < deadline
                and self._signals <= max(asked, 1)
            ):
                self._wait_tick(0.05)
            for child in running:
                assert child.process is not None
                if child.is_running:
                    self._report(f"{child.spec.name} did not end in time and was killed.")
                kill_group(child.process)
                child.process = None


def describe_end(code: int) -> str:
    """Returns how a process ended, in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _load_prctl() -> Callable[[int, int], int] | None:
    """Loaded before any fork: the child calls it between fork and exec, where loading is not safe."""
    if sys.platform != "linux":
        return None
    prctl: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl


_prctl = _load_prctl()
