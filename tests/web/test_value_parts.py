"""What differs between values costs as much as the values are long, and no more; and a card shows no more than fits."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.forms.decide import name_of_value
from converge_site.fragments import voices
from converge_site.fragments.conflicts import SIDES_SHOWN, VOICES_SHOWN, WHOLE, read_card
from converge_site.fragments.side_diff import ROWS, Part, diff_sides
from converge_site.fragments.slots import values_that_stood
from converge_site.fragments.value_diff import FieldChange, diff_values
from converge_site.fragments.value_parts import MOST_COMPARED
from runtime.engine.values import canonical
from runtime.models import Conflict, Decision, Entry, Job
from tests.web.cast import open_conflict
from tests.web.desk import page, text_of
from tests.web.test_deciding import form_of


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The values that were written out to be compared."""
    seen: list[Any] = []

    def noted(value: Any) -> bytes:
        seen.append(value)
        return canonical(value)

    monkeypatch.setattr(voices, "canonical", noted)
    return seen


@pytest.mark.parametrize("sides", [2, 6])
def test_each_item_of_a_list_is_written_out_once(written: list[Any], sides: int) -> None:
    length = MOST_COMPARED // sides
    values = [list(range(n * length, (n + 1) * length)) for n in range(sides)]
    found = diff_sides(values)
    assert len(written) == sides * length
    assert found is not None
    assert found.parts[0].texts[1].endswith(f" and {length - 12} more")


def test_each_part_of_an_object_is_written_out_once(written: list[Any]) -> None:
    values = [{f"a{n}": {"b": {"c": n + more}} for n in range(300)} for more in (0, 1)]
    found = diff_sides(values)
    assert found is not None
    assert (len(found.parts), found.hidden, found.same) == (ROWS, 300 - ROWS, 0)
    assert len(written) == 600


def test_lists_too_long_are_told_by_their_lengths(written: list[Any]) -> None:
    old, new = list(range(4_000)), list(range(1, 4_001))
    long = "4,000 items, too many to compare here"
    assert diff_values(old, new) == [FieldChange("", long, long)]
    assert len(written) == 2
    found = diff_sides([{"a": 1, "many": old}, {"a": 2, "many": old[:1]}])
    assert found is not None
    assert found.parts == [Part("a", ("1", "2")), Part("many", (long, "1 item, too many to compare here"))]
    assert diff_values({"many": old}, {"many": list(old)}) == []


def test_objects_too_wide_are_told_by_their_sizes() -> None:
    found = diff_sides([{f"k{n}": n + more for n in range(4_000)} for more in (0, 1)])
    assert found is not None
    assert found.parts == [Part("Fields", ("4,000 fields, too many to compare here",) * 2)]
    assert found.same == 0


def test_values_that_stood_are_each_written_out_once(written: list[Any]) -> None:
    stood = [Entry(seq=n, now="fact", body=f'{{"value":{n % 200}}}') for n in range(400)]
    assert values_that_stood(stood, 300) == [n % 200 for n in range(399, 199, -1)]
    assert len(written) == 400


def crowd(conflict: Conflict, sides: int, voices: int) -> Conflict:
    """The question with so many sides, each said by so many."""
    said = [{"agent": f"agent {n}", "item": "", "conf": 500, "seq": 1} for n in range(voices)]
    conflict.sides = [
        {"value": {"n": n}, "conf": 900 - n, "voices": said, "speakers": ["x"]} for n in range(sides)
    ]
    conflict.save()
    return conflict


def test_a_card_draws_the_strongest_sides_and_counts_the_rest(otto: Client, waiting_job: Job) -> None:
    conflict = crowd(open_conflict(waiting_job), 300, 40)
    card = read_card(conflict)
    assert (len(card.sides), card.hidden_sides) == (SIDES_SHOWN, 300 - SIDES_SHOWN)
    assert (len(card.sides[0].voices), card.sides[0].hidden) == (VOICES_SHOWN, 40 - VOICES_SHOWN)
    assert card.diff is None
    said = text_of(page(otto, conflict))
    assert f"and {300 - SIDES_SHOWN} more candidates, none of them surer" in said
    assert f"and {40 - VOICES_SHOWN} more voices" in said
    assert f"Keep {SIDES_SHOWN}:" in said and f"Keep {SIDES_SHOWN + 1}:" not in said


def test_a_side_that_a_card_has_no_room_for_can_be_kept(
    otto: Client, people: dict[str, User], waiting_job: Job
) -> None:
    conflict = crowd(open_conflict(waiting_job), 1, 1)
    values = [{"n": n} for n in range(SIDES_SHOWN + 5)]
    sent = {**form_of(otto, conflict), "choice": name_of_value(values[-1]), "reason": "it is the one"}
    conflict.sides = [{**conflict.sides[0], "value": value} for value in values]
    conflict.save()
    answer = otto.post(f"/conflicts/{conflict.pk}/decide/", sent)
    # The pack's schema knows no such value: what was chosen was read, and is refused for what it is.
    assert "does not fit" in answer.content.decode()
    assert not Decision.objects.exists()


def test_a_long_value_is_cut_on_the_card(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    conflict.sides = [{**side, "value": {"text": "x" * 60_000}} for side in conflict.sides]
    conflict.save()
    html = page(otto, conflict)
    assert "more characters" in html
    assert html.count("x" * 100) * 100 < 4 * (WHOLE + 2_000)
