"""One seed from beginning to end; and the shortest history that still shows what a seed showed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.simulation.healing import heal
from tests.simulation.injection import Bench
from tests.simulation.oracle import check
from tests.simulation.violation import Violation
from tests.simulation.weather import acts, weather_of
from tests.simulation.world import Act, World

LENGTH = 120  # acts of a seed before all is healed
LENGTH_OF_MANY = 90  # where a thousand are played among the tests
MOST_REPLAYS = 400  # to shorten one history


@dataclass
class Play:
    """What happened: the acts, and what was wrong with it, None for nothing."""

    seed: int
    length: int = LENGTH  # asked for; a history that was shortened is shorter
    history: list[Act] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # the history in words
    violation: Violation | None = None
    longest_idle: float = 0.0
    digests: tuple[str, ...] = ()


def play(bench: Bench, seed: int, history: Sequence[Act] | None = None, length: int = LENGTH) -> Play:
    """Plays a seed, or a given history of it."""
    bench.clear()
    bench.chance.seed(seed)
    done = Play(seed, length)
    weather = weather_of(seed)
    world = World(bench, has_scheduler=weather.has_scheduler)
    world.leaves_to_clock = weather.has_scheduler and seed % 3 == 0
    given: Iterable[Act] = acts(seed, world, length) if history is None else history
    try:
        for act in given:
            done.history.append(act)
            done.told.append(_tell(world, act))
            world.do(act)
        heal(world)
        check(world, replays=seed % 5 == 0)  # whoever takes a job over replays it anyway
    except Violation as violation:
        done.violation = violation
    finally:
        done.longest_idle = world.observer.longest_idle
        done.digests = tuple(d for (d,) in bench.database.ask("SELECT digest FROM runtime_job ORDER BY id"))
        world.end()
    return done


def play_all(bench: Bench, seeds: Iterable[int]) -> None:
    """Plays many. Raises AssertionError with a short history of the first that breaks something."""
    for seed in seeds:
        done = play(bench, seed, length=LENGTH_OF_MANY)
        assert done.violation is None, report(shorten(bench, done))


def _tell(world: World, act: Act) -> str:
    at = f"{world.turns.now - 1_700_000_000:8.2f}  "
    if act[0] == "turn":
        task = next((task for task in world.tasks if task.name == act[1]), None)
        return f"{at}{act[1]}: {'' if task is None else ' '.join(task.at.split())[:90]}"
    return at + " ".join(str(part) for part in act)


def shorten(bench: Bench, found: Play) -> Play:
    """A history of the same seed, as short as a few hundred tries make it, that breaks the same invariant."""
    assert found.violation is not None
    best, tries = found, 0
    size = max(1, len(best.history) // 2)
    while tries < MOST_REPLAYS:
        for kept in _without(best.history, size):
            tries += 1
            again = play(bench, found.seed, kept, found.length)
            if again.violation is not None and again.violation.number == found.violation.number:
                best = again
                break
            if tries >= MOST_REPLAYS:
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return best


def _without(history: Sequence[Act], size: int) -> Iterator[list[Act]]:
    """The history without one stretch of that size, the last one first."""
    for end in range(len(history), 0, -size):
        yield [*history[: max(0, end - size)], *history[end:]]


def report(found: Play) -> str:
    """What a failure tells whoever has to look into it."""
    length = "" if found.length == LENGTH else f" --length {found.length}"
    lines = [
        f"seed {found.seed} ({weather_of(found.seed).name}): {found.violation}",
        f"repro: python -m tests.simulation --seed {found.seed}{length}",
        f"{len(found.history)} acts, then all heals:",
        *(f"  {line}" for line in found.told),
    ]
    return "\n".join(lines)
