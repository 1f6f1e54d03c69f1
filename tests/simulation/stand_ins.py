"""What production code imports as `threading`, `time`, executors and the event loop, for whom takes turns."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tests.simulation.turns import Process, Task, Turns


class Clock:
    """The module `time`. A process's own clock may be wrong; its monotonic one goes at the right speed."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def time(self) -> float:
        process = self._turns.process
        return self._turns.now + (process.skew if process is not None else 0.0)

    def monotonic(self) -> float:
        return self._turns.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self._turns.sleep(seconds)

    def now(self) -> dt.datetime:
        """`django.utils.timezone.now`."""
        return dt.datetime.fromtimestamp(self.time(), dt.UTC)


class Event:
    """`threading.Event`."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._is_set = turns, False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._turns.wait(self.is_set, timeout, "wait")


class Thread:
    """`threading.Thread`: a task of the process that makes it."""

    def __init__(
        self, turns: Turns, target: Callable[..., None], name: str, args: tuple[Any, ...] = ()
    ) -> None:
        self._turns, self._target, self._args, self._name = turns, target, args, name
        self._task: Task | None = None

    def start(self) -> None:
        process = self._turns.process
        assert process is not None
        self._task = process.start(self._name, lambda: self._target(*self._args))

    def join(self, timeout: float | None = None) -> None:
        self._turns.wait(lambda: not self.is_alive(), timeout, "join")

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.is_over


class Threading:
    """The module `threading`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def Event(self) -> Event:
        return Event(self._turns)

    def Thread(
        self, target: Callable[..., None], name: str = "", args: tuple[Any, ...] = (), daemon: bool = True
    ) -> Thread:
        return Thread(self._turns, target, name, args)

    def current_thread(self) -> object:
        return self._turns.current

    def main_thread(self) -> object:
        """Nobody is in it: no signals are taken."""
        return self


class Pending(Future[Any]):
    """A future that is waited for in turns."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def result(self, timeout: float | None = None) -> Any:
        self._turns.wait(self.done, timeout, "wait for a result")
        return super().result(timeout=0)


class Workshop:
    """`ThreadPoolExecutor(1)`: in each process one thread, which does one thing after the other."""

    def __init__(self, turns: Turns, name: str) -> None:
        self._turns, self._name = turns, name

    def submit(self, act: Callable[..., Any], *args: Any) -> Future[Any]:
        process = self._turns.process
        future = Pending(self._turns)
        if process is None or not process.is_alive:
            return future  # nobody is there to do it
        todo = process.workshops.get(self)
        if todo is None:
            todo = process.workshops[self] = []
            process.start(self._name, lambda: self._work(process, todo))
        todo.append(lambda: _fulfil(future, act, args))
        return future

    def _work(self, process: Process, todo: list[Callable[[], None]]) -> None:
        while todo:
            todo.pop(0)()
        del process.workshops[self]


class Inline:
    """An executor whose work is done at once."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def submit(self, act: Callable[..., Any], *args: Any) -> Future[Any]:
        future = Pending(self._turns)
        _fulfil(future, act, args)
        return future


def _fulfil(future: Future[Any], act: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = act(*args)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class Loop(asyncio.base_events.BaseEventLoop):
    """An event loop under the simulated clock; while it has nothing to do, others take their turns."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._selector = self
        self._clock_resolution = 1e-4  # that of a float of seconds since 1970 would let timers wait for ever
        if turns.process is not None:
            turns.process.loops.append(self)

    def time(self) -> float:
        return self._turns.now

    def select(self, timeout: float | None) -> list[Any]:
        """As the selector: waits until something is scheduled."""
        if timeout is None or timeout > 0:
            self._turns.wait(lambda: bool(self._ready), timeout, "listen")  # type: ignore[attr-defined]
        return []

    def close(self) -> None:
        process = self._turns.process
        if process is not None and self in process.loops:
            process.loops.remove(self)
        super().close()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class Chance:
    """The module `random`, as far as jitter needs it."""

    def __init__(self) -> None:
        self._source = random.Random(0)

    def seed(self, seed: int) -> None:
        self._source.seed(seed)

    def random(self) -> float:
        return self._source.random()

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)
