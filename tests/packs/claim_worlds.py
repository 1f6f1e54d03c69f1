"""Made-up sources and truths, by seed: the same seed makes the same world on every machine."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from runtime.packs.claims.claim import Claim
from runtime.packs.claims.score import count_votes, pick_verdict, run_rounds, score_verdicts
from runtime.packs.claims.tabulate import Table, tabulate_claims

Say = Callable[[Random, str, list[str]], str]


@dataclass(frozen=True)
class World:
    claims: tuple[Claim, ...]
    truth: dict[str, str]


def make_world(seed: int, sources: dict[str, Say], objects: int, voices: int, labels: int = 0) -> World:
    """Every object is spoken of by `voices` sources. `labels` are shared; 0 gives each object four of its own."""
    random = Random(seed)
    claims, truth = [], {}
    for number in range(objects):
        name = f"o{number:04}"
        own = [f"{random.randrange(1 << 20)}v{k}" for k in range(4)]
        choices = [f"L{k}" for k in range(labels)] or own
        truth[f"{name}/a"] = true = random.choice(choices)
        said: dict[str, str] = {}
        for source in random.sample(sorted(sources), min(voices, len(sources))):
            # Those who echo somebody share a function, and what it said about this object.
            say = sources[source]
            leader = getattr(say, "leader", source)
            said.setdefault(leader, say(random, true, choices))
            claims.append(Claim(source, name, "a", said[leader]))
    return World(tuple(claims), truth)


def right_with(chance: float) -> Say:
    def say(random: Random, true: str, choices: list[str]) -> str:
        return true if random.random() < chance else random.choice([c for c in choices if c != true])

    return say


def always(place: int) -> Say:
    return lambda random, true, choices: choices[place]


def echo(leader: str, chance: float) -> Say:
    say = right_with(chance)
    say.leader = leader  # type: ignore[attr-defined]
    return say


def spread(count: int, low: float, high: float, name: str = "s") -> dict[str, Say]:
    """`count` sources whose chances to be right lie evenly between `low` and `high`."""
    return {f"{name}{i:03}": right_with(low + (high - low) * i / max(count - 1, 1)) for i in range(count)}


def compare(world: World) -> tuple[float, float]:
    """(accuracy of plurality, accuracy at the fixed point); ties count as split."""
    table = tabulate_claims(world.claims)
    course = run_rounds(table)
    assert course.settled
    return measure(table, world, count_votes(table)), measure(table, world, course.beliefs)


def measure(table: Table, world: World, beliefs) -> float:
    verdicts = {slot: pick_verdict(belief) for slot, belief in beliefs.items()}
    return score_verdicts(table, world.truth, verdicts).accuracy
