"""In which order rules of one priority are asked: first the code's, in its order, then those that people added.

A rule that takes another one's place takes it here too, and so does what takes its place in turn: all of them stand
where the first of them stands. That is looked up along `replaces`, not remembered, so it stays so when the code changes
its order. A rule that is to be asked directly `before` another one of its priority stands before whatever is in that
one's place. `position` is kept equal along the way for whoever sorts rows by it, and decides between no two of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F

from runtime.models import GovernanceRule, Pack

AFTER_CODE = 10_000  # the first position of rules that people add; a pack's code declares fewer

# Of the first in the row of those that followed each other; its id; less than 0 for what stands before that row; the
# id of the first of those that followed each other there; the own id.
Place = tuple[int, int, int, int, int]


def in_order(rules: Iterable[GovernanceRule]) -> list[GovernanceRule]:
    """Rules as they are asked: by priority, then place. Makes one query if any stands where another one says."""
    rows = list(rules)
    followed = {row.pack_id for row in rows if row.replaces_id is not None or row.before_id is not None}
    places = _read_places(followed) if followed else {}
    return sorted(rows, key=lambda row: (row.priority, *places.get(row.pk, _own_place(row.pk, row.position))))


def places_by_name(pack: Pack) -> dict[str, Place]:
    """Where each rule of a pack stands among those of its priority, drafts and retired ones too."""
    places = _read_places({pack.pk})
    return {name: places[pk] for name, pk in pack.rules.values_list("name", "pk")}


def is_in_place_of(rule: GovernanceRule, other: GovernanceRule) -> bool:
    """Whether `rule` is `other`, or took its place, at once or after others did."""
    replaced = dict(rule.pack.rules.values_list("pk", "replaces_id"))
    at: int | None = rule.pk
    while at is not None and at != other.pk:
        at = replaced.get(at)
    return at is not None


def names_replaced(rule: GovernanceRule) -> tuple[str, ...]:
    """The rule whose place `rule` takes, the one whose place that took, and so on."""
    rows = rule.pack.rules.values_list("pk", "name", "replaces_id")
    known = {pk: (name, replaces) for pk, name, replaces in rows}
    found: list[str] = []
    at = rule.replaces_id
    while at is not None:
        name, at = known[at]
        found.append(name)
    return tuple(found)


def new_position(pack: Pack, replaces: GovernanceRule | None) -> int:
    """The position of a rule that somebody drafts: that of the rule it is to replace, or after all others."""
    if replaces is not None:
        return replaces.position
    last = pack.rules.order_by("-position").values_list("position", flat=True).first()
    return AFTER_CODE if last is None else max(AFTER_CODE, last + 1)


def settle_positions(pack: Pack) -> None:
    """Call it when the code has said its order anew: those that replace a rule go with it, those that people added
    stay behind all of the code's."""
    among_code = pack.rules.filter(origin="admin", replaces=None, position__lt=AFTER_CODE)
    among_code.update(position=F("position") + AFTER_CODE)
    places = _read_places({pack.pk})
    for row in pack.rules.filter(origin="admin").exclude(replaces=None):
        if row.position != places[row.pk][0]:
            GovernanceRule.objects.filter(pk=row.pk).update(position=places[row.pk][0])


def _read_places(packs: Iterable[int]) -> dict[int, Place]:
    """The places of all rules of some packs. What is replaced, or stood before, is older, and so are ids."""
    rows = GovernanceRule.objects.filter(pack__in=list(packs)).order_by("pk")
    places: dict[int, Place] = {}
    priorities: dict[int, int] = {}
    for pk, position, priority, replaces, before in rows.values_list(
        "pk", "position", "priority", "replaces_id", "before_id"
    ):
        place = _own_place(pk, position)
        if replaces in places:
            place = (*places[replaces][:4], pk)
        elif before in places and priorities[before] == priority:
            at, first, nearness, *_ = places[before]
            place = (at, first, nearness - 1, pk, pk)
        places[pk], priorities[pk] = place, priority
    return places


def _own_place(pk: int, position: int) -> Place:
    return (position, pk, 0, pk, pk)
