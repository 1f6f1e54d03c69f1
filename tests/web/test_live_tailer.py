"""The tailer's rounds: a topic that fails stops no other, and nobody who came meanwhile is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError

from converge_site.live import tailer as tailers
from converge_site.live.tailer import Tailer


class Line:
    """A viewer that notes what it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.texts: list[str] = []
        self.ended = False

    def deliver(self, texts: list[str], replaces: Hashable = None) -> None:
        self.texts += texts

    def end(self) -> None:
        self.ended = True


class Given:
    """A topic whose next looks come to what the test says: a text, nothing, or an exception."""

    waiting = owes = False

    def __init__(self) -> None:
        self.next: list[str | Exception | None] = []
        self.catch: Exception | None = None

    def changes(self, at_once: bool) -> list[str]:
        found = self.next.pop(0) if self.next else None
        if isinstance(found, Exception):
            raise found
        return [found] if found else []

    def catch_up(self, after: int) -> list[str]:
        if self.catch is not None:
            raise self.catch
        return [f"after {after}"]


class Rounds:
    """A tailer without its thread: the test makes each round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop) -> None:
        self.topics: dict[Any, Given] = {}
        self.away = False
        monkeypatch.setattr(tailers, "_make_topic", self._make)
        monkeypatch.setattr(tailers, "_database_answers", lambda: not self.away)
        monkeypatch.setattr(tailers, "read_version", lambda: None)
        self.loop, self.tailer = loop, Tailer()

    def _make(self, name: Any) -> Given:
        return self.topics.setdefault(name, Given())

    def watch(self, number: int, after: int = 0) -> Line:
        line = Line(self.loop)
        self.tailer.watch(line, ("job", number), after)
        self._make(("job", number))
        return line

    def round(self) -> None:
        self.tailer.hint()  # so that everything is looked at
        try:
            self.tailer._round()
        finally:
            # In a thread of its own: after browser tests the main thread's loop counts as running.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._deliver).result()

    def _deliver(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rounds]:
    loop = asyncio.new_event_loop()
    yield Rounds(monkeypatch, loop)
    loop.close()


def test_a_topic_that_fails_ends_alone(rounds: Rounds) -> None:
    first, wrong, last = rounds.watch(1), rounds.watch(2, 5), rounds.watch(3, 7)
    rounds.topics["job", 2].next = [KeyError("wrong")]
    rounds.round()
    assert (first.texts, last.texts) == (["after 0"], ["after 7"])
    assert (wrong.texts, wrong.ended) == ([], True)
    assert (first.ended, last.ended) == (False, False)
    rounds.topics["job", 3].next = ["news"]
    rounds.round()
    assert last.texts == ["after 7", "news"]
    assert ("job", 2) not in rounds.tailer.watched


def test_who_came_while_the_database_was_away_is_caught_up_when_it_is_back(rounds: Rounds) -> None:
    early = rounds.watch(1)
    rounds.round()
    rounds.away = True
    rounds.topics["job", 1].next = ["news"]
    late, other = rounds.watch(1, 3), rounds.watch(2, 9)
    rounds.topics["job", 2].next = [OperationalError("away")]  # it is asked first: it waits longest
    with pytest.raises(OperationalError):
        rounds.round()
    rounds.away = False
    assert (late.texts, other.texts) == ([], [])
    rounds.round()
    assert early.texts == ["after 0", "news"]
    assert (late.texts, other.texts) == (["after 3"], ["after 9"])
    assert not (early.ended or late.ended or other.ended)


def test_who_was_served_before_a_round_failed_is_not_served_twice(rounds: Rounds) -> None:
    line = rounds.watch(1, 4)
    rounds.watch(2)
    rounds.away = True
    rounds.topics["job", 2].next = [OperationalError("away")]
    with pytest.raises(OperationalError):
        rounds.round()
    rounds.round()
    assert line.texts == ["after 4"]


def test_who_left_while_the_database_was_away_does_not_come_back(rounds: Rounds) -> None:
    line = rounds.watch(1)
    rounds.away = True
    rounds.topics["job", 1].next = [OperationalError("away")]
    with pytest.raises(OperationalError):
        rounds.round()
    rounds.tailer.leave(line, ("job", 1))
    rounds.round()
    assert (line.texts, rounds.tailer.watched) == ([], {})


def test_a_topic_the_database_refuses_now_and_then_is_tried_again_and_harms_no_other(rounds: Rounds) -> None:
    locked, good = rounds.watch(1, 2), rounds.watch(2)
    rounds.topics["job", 1].next = [OperationalError("locked"), OperationalError("locked")]
    rounds.round()
    assert (locked.texts, good.texts) == ([], ["after 0"])
    rounds.round()
    rounds.round()
    assert (locked.texts, locked.ended) == (["after 2"], False)


def test_a_topic_the_database_always_refuses_ends_at_last(rounds: Rounds) -> None:
    wrong, good = rounds.watch(1), rounds.watch(2)
    rounds.topics["job", 1].catch = OperationalError("too complex")
    for _ in range(tailers.TRIES):
        assert not wrong.ended
        rounds.round()
    assert (wrong.ended, good.ended) == (True, False)


def test_a_viewer_of_a_topic_that_ended_may_still_leave(rounds: Rounds) -> None:
    line = rounds.watch(1)
    rounds.topics["job", 1].next = [KeyError("wrong")]
    rounds.round()
    rounds.tailer.leave(line, ("job", 1))
    again = rounds.watch(1, 6)
    rounds.round()
    assert again.texts == ["after 6"]
