"""Why, and why not, of a slot about which very many speak: work grows with what is said, and a part of it is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from runtime.engine.values import canonical
from runtime.lineage import story as stories
from runtime.lineage import why_not
from runtime.lineage.explain import VOICES, root_of
from runtime.lineage.story import Story, fold_story
from runtime.lineage.why_not import SHOWN, tell_why_not
from runtime.models import Entry


def entries(count: int, now: str, kind: str = "contested") -> list[Entry]:
    """So many seeds that say something else each."""
    bodies: list[dict[str, Any]] = [
        {"agent": "@seed", "item": str(n), "value": n, "conf": n % 1000, "seq": n}
        for n in range(1, count + 1)
    ]
    return [
        Entry(
            seq=body["seq"],
            cycle=1,
            kind=kind,
            agent="@seed",
            item=body["item"],
            key="price",
            subject="x",
            now=now,
            body=orjson.dumps(body).decode(),
        )
        for body in bodies
    ]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The values that were written out to be compared."""
    seen: list[Any] = []

    def noted(value: Any) -> bytes:
        seen.append(value)
        return canonical(value)

    monkeypatch.setattr(stories, "canonical", noted)
    return seen


@pytest.mark.parametrize("now", ["fact", "contested"])
def test_values_are_written_out_once_however_many_speak(written: list[Any], now: str) -> None:
    count = 500
    story = fold_story("price", "x", entries(count, now))
    root_of(story)
    rows, more = tell_why_not(story)
    lost = count - 1 if now == "fact" else 0
    assert len(rows) + more == lost
    assert len(rows) == min(SHOWN, lost)
    assert len(written) <= count + 20


def test_only_what_is_told_is_put_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    called: Counter[str] = Counter()

    def counted(name: str) -> None:
        real = getattr(why_not, name)

        def call(*said: Any, **more: Any) -> Any:
            called[name] += 1
            return real(*said, **more)

        monkeypatch.setattr(why_not, name, call)

    counted("say_decider")
    counted("_row")
    tell_why_not(fold_story("price", "x", entries(500, "fact")))
    assert called == {"say_decider": 1, "_row": SHOWN}


def test_the_strongest_come_first_and_their_order_is_found_once() -> None:
    story = fold_story("price", "x", entries(300, "fact"))
    sides = story.sides()
    assert story.sides() is sides
    assert [said[0].value for said in sides.values()][:2] == [300, 299]
    rows, _ = tell_why_not(story)
    assert [row.value for row in rows][:2] == [299, 298], "what stands, the last one, is told with the slot"


def test_who_speaks_later_is_among_the_sides() -> None:
    said = entries(3, "contested")
    story = Story("price", "x")
    for entry in said:
        stories._speak(story, entry)
        assert [v[0].value for v in story.sides().values()] == list(range(entry.seq, 0, -1))
    stories._withdraw(story, said[1])
    assert [v[0].value for v in story.sides().values()] == [3, 1]


def test_the_slot_itself_tells_a_few_voices_and_counts_the_rest() -> None:
    root = root_of(fold_story("price", "x", entries(200, "contested")))
    assert len(root.voices) == VOICES
    assert f"and {200 - VOICES} more voices say so" in [reason.text for reason in root.reasons]
