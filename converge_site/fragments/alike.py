"""The other open questions of the same shape, each with what a decision would mean there: to decide them at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from converge_site.fragments.conflicts import Card, Side, read_cards
from converge_site.fragments.decision_words import words_of_choice, words_of_decision
from converge_site.fragments.verdicts import Known, may_answer
from runtime.actions import Refused
from runtime.actions.bulk import MOST_AT_ONCE, find_alike, same_choice
from runtime.actions.deciding import side_kept
from runtime.models import Conflict


@dataclass(frozen=True, slots=True)
class Like:
    """One of them. `words` say what the decision would be there, `kept` the place of the side that is kept; `cannot`
    says why it is not offered, "" if it is."""

    card: Card
    words: str
    kept: int | None
    cannot: str
    ticked: bool

    @property
    def value(self) -> str:
        """What its box sends: the question and the state that was seen."""
        return f"{self.card.conflict.pk}:{self.card.conflict.version}"

    @property
    def sides(self) -> list[tuple[Side, bool]]:
        """Its sides, and whether each is the one that is kept."""
        return [(side, place == self.kept) for place, side in enumerate(self.card.sides)]


@dataclass(frozen=True, slots=True)
class Alike:
    """The list for one choice, in words; `hidden` counts those beyond the most that can be decided at once.

    `problem` says what the form lacks before there can be a list.
    """

    card: Card
    words: str
    likes: list[Like]
    hidden: int = 0
    problem: str = ""

    @property
    def offered(self) -> int:
        """How many can be."""
        return sum(not like.cannot for like in self.likes)


def read_alike(
    user: User, card: Card, choice: Mapping[str, Any], ticked: Collection[int] | None = None
) -> Alike:
    """What `choice` on a question would mean on its like. Ticked are those named; without names, all that can be and
    are not put off."""
    found = find_alike(card.conflict).select_related("job__submitter", "job__input")
    shown = list(found[:MOST_AT_ONCE])
    hidden = found.count() - len(shown) if len(shown) == MOST_AT_ONCE else 0
    known: Known = {}
    likes = [_like(user, card.conflict, other, choice, ticked, known) for other in read_cards(shown)]
    return Alike(card, words_of_choice(choice), likes, hidden)


def _like(
    user: User,
    model: Conflict,
    card: Card,
    choice: Mapping[str, Any],
    ticked: Collection[int] | None,
    known: Known,
) -> Like:
    words, kept, cannot = "", None, _why_not(user, card, known)
    try:
        there = same_choice(model, dict(choice), card.conflict)
        words, kept = words_of_choice(there), _shown(side_kept(card.conflict, there), card)
    except Refused as refused:
        cannot = cannot or refused.message
    is_wanted = not card.is_put_off if ticked is None else card.conflict.pk in ticked
    return Like(card, words, kept, cannot, is_wanted and not cannot)


def _shown(place: int | None, card: Card) -> int | None:
    return None if place is None or place >= len(card.sides) else place


def _why_not(user: User, card: Card, known: Known) -> str:
    if card.pending and card.last is not None:
        return f"{card.last.by_name} sent already: {words_of_decision(card.last)}."
    return may_answer(user, card, known).why
