"""What people decide alike again and again, as proposals to make it a rule."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.engine.spec import PERSON, SEED
from runtime.precedents import Precedent, find_precedents


@dataclass(frozen=True, slots=True)
class PrecedentView:
    """A proposal as shown on the inbox, the rules' page and the question that was decided last."""

    precedent: Precedent
    winners: str
    losers: str
    people: str
    title: str

    @property
    def id(self) -> str:
        """A name for its element."""
        return f"precedent-{self.precedent.shape[:12]}"


def read_precedents(pack_id: int | None = None, shape: str = "") -> list[PrecedentView]:
    """The proposals there are; of one pack, or about one shape."""
    return [_view(precedent) for precedent in find_precedents(pack_id, shape)]


def words_of_speakers(speakers: tuple[str, ...] | list[str]) -> str:
    """Who speaks on a side, in words."""
    return _listed([_words(name) for name in speakers], "and")


def _view(precedent: Precedent) -> PrecedentView:
    sides = [sorted(side.get("speakers", ())) for side in precedent.conflict.sides]
    kept = list(precedent.kept)
    return PrecedentView(
        precedent=precedent,
        winners=words_of_speakers(kept),
        losers=_listed([words_of_speakers(side) for side in sides if side != kept], "or"),
        people=_listed(list(precedent.people), "and"),
        title=str(precedent.conflict.job.pack),
    )


def _words(speaker: str) -> str:
    if speaker.startswith(f"{SEED}:"):
        return f"seeds of {speaker.removeprefix(f'{SEED}:')}"
    return {SEED: "seeds", PERSON: "people"}.get(speaker, speaker)


def _listed(names: list[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""
