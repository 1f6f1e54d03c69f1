"""Turns: everything that would run at once takes turns in one thread, and whose turn it is, is chosen from outside.

A task stands for a thread and is a greenlet; a process is a few tasks that die together. A task runs until it waits, or
until it is about to touch something that others see (`pause`). A process that is killed runs no further line that
anybody could notice: whatever its code does while it unwinds, each `pause` raises Killed again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from greenlet import getcurrent, greenlet

START = 1_700_000_000.0  # seconds since 1970, when every simulation begins


class Killed(BaseException):
    """SIGKILL, as the code of the process meets it: raised wherever it would touch the world."""


class Task:
    """One thread of a process."""

    def __init__(self, turns: Turns, process: Process, name: str, act: Callable[[], None]) -> None:
        self.turns, self.process, self.name = turns, process, name
        self.at = "start"  # what it is about to do
        self.ready: Callable[[], bool] | None = None  # None: whenever it is its turn
        self.wakes_at: float | None = None
        self.error: BaseException | None = None
        self._greenlet = greenlet(lambda: self._run(act), turns.main)

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Killed:
            pass
        except BaseException as error:  # kept, and judged by whoever scheduled it
            self.error = error

    @property
    def is_over(self) -> bool:
        """Whether it has returned, or died."""
        return bool(self._greenlet.dead)

    @property
    def can_go(self) -> bool:
        """Whether it could do something now."""
        if self.process.is_stopped or self.is_over:
            return False
        if self.ready is None or self.ready():
            return True
        return self.wakes_at is not None and self.wakes_at <= self.turns.now

    def switch(self) -> None:
        """Runs it until it gives the turn back."""
        self._greenlet.switch()

    def kill(self) -> None:
        """Lets its code unwind, unheard by the world."""
        if self._greenlet.dead:
            return
        with contextlib.suppress(Killed):  # one that never began hands it back
            self._greenlet.throw(Killed)
        assert self._greenlet.dead, f"{self.name} outlived its process"


class Process:
    """A process: its tasks, whether it is alive, stopped (SIGSTOP), and by how much its own clock is wrong."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.turns, self.name = turns, name
        self.tasks: list[Task] = []
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.is_alive = True
        self.is_stopped = False
        self.asked_to_stop = False
        self.skew = 0.0
        self.workshops: dict[object, list[Callable[[], None]]] = {}  # what executors are to do, by executor

    def start(self, name: str, act: Callable[[], None]) -> Task:
        """A new task of this process."""
        task = Task(self.turns, self, f"{self.name}/{name}" if name else self.name, act)
        self.tasks.append(task)
        return task

    def kill(self) -> None:
        """SIGKILL."""
        self.is_alive = False
        self.is_stopped = False
        here = getcurrent()
        for task in self.tasks:
            if task._greenlet is not here:
                task.kill()
        for loop in self.loops:
            _bury(loop)
        self.tasks, self.loops = [], []
        self.workshops.clear()


def _bury(loop: asyncio.AbstractEventLoop) -> None:
    """Closes what a killed loop left suspended, here and now: left to the collector it would complain at some other
    time, from code that takes an end for a cancellation and awaits once more."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        for _ in range(3):
            with contextlib.suppress(RuntimeError, Killed):
                task.get_coro().close()
                break


class Turns:
    """Whose turn it is, what time it is, and what befalls the task whose turn it is.

    `fuse` counts the places at which the present task may fail, within transactions too; where it has burnt down,
    `blow` is called with the place's name and may raise. None: nothing happens.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """The beginning of time. Whoever calls it is who gives the turns."""
        self.main = getcurrent()
        self.now = START
        self.current: Task | None = None
        self.fuse: int | None = None
        self.blow: Callable[[str], None] = lambda place: None

    @property
    def process(self) -> Process | None:
        """Whose code is running, None for the simulation's own."""
        return self.current.process if self.current is not None else None

    def go(self, task: Task) -> None:
        """One turn of a task. Raises what ended it, unless it was killed or returned."""
        assert self.current is None, "turns are given from outside"
        self.current = task
        task.ready = task.wakes_at = None
        try:
            task.switch()
        finally:
            self.current = None
            self.fuse = None
        if task.is_over:
            with contextlib.suppress(ValueError):
                task.process.tasks.remove(task)
        if task.error is not None:
            error, task.error = task.error, None
            raise error

    def pause(self, place: str, is_held: bool = False) -> None:
        """A task says what it is about to do, and others may come first; unless it is held by a transaction, in which
        others cannot come between. It may be killed here, or meet what was planted."""
        task = self.current
        if task is None or getcurrent() is not task._greenlet:
            if task is None and getcurrent() is not self.main:
                raise Killed  # a dead task unwinds
            return
        if not task.process.is_alive:
            raise Killed
        if not is_held:
            self._give_turn_back(task, place)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                self.blow(place)

    def wait(self, ready: Callable[[], bool], seconds: float | None, place: str) -> bool:
        """A task waits; returns whether what it waits for is so."""
        task = self.current
        if task is None or not task.process.is_alive:
            if getcurrent() is not self.main:
                raise Killed
            return ready()
        if not ready():
            task.ready = ready
            task.wakes_at = None if seconds is None else self.now + seconds
            self._give_turn_back(task, place)
        return ready()

    def sleep(self, seconds: float, place: str = "sleep") -> None:
        """A task does nothing for a while."""
        self.wait(lambda: False, seconds, place)

    def _give_turn_back(self, task: Task, place: str) -> None:
        task.at = place
        loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            self.main.switch()
        finally:
            asyncio._set_running_loop(loop)
        if not task.process.is_alive:
            raise Killed
