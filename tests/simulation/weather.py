"""What befalls a world by chance: a seed chooses the weather, then act after act."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.world import Act, World

UNDISTURBED = 300  # acts at most


@dataclass(frozen=True)
class Weather:
    """How often what happens, beside turns (weight 100)."""

    name: str
    kill: float = 0.0
    stop: float = 0.0
    lose: float = 0.0
    queue: float = 0.0
    redis: float = 0.0
    tool: float = 0.0
    skew: float = 0.0
    hints: float = 0.0
    pages: float = 0.0
    people: float = 4.0
    tries: float = 0.0  # of rules on past jobs
    starts_waiting: bool = (
        False  # two jobs have come to where they wait for people before anything befalls them
    )
    repost: float = 1.5
    tick: float = 6.0
    term: float = 0.0
    has_scheduler: bool = True
    packs: tuple[int, ...] = (0, 1, 2)  # asker, panel, relay


WEATHERS = (
    Weather("people in a hurry, and nobody who repairs", people=10, repost=4, has_scheduler=False, packs=(1, 2)),
    Weather("processes die", kill=5, tries=2),
    Weather("processes stand still, or are asked to stop", stop=6, tick=12, term=3, tries=2),
    Weather("the queue is unreliable", queue=14, redis=2, tries=3),
    Weather("the database goes away", lose=6),
    Weather("the tool goes up and down", tool=8, kill=8, stop=2, packs=(0,)),
    Weather("pages come and go", pages=30, hints=2, kill=1, lose=6, packs=(1, 2)),
    Weather(
        "a desk with much on it",
        kill=3, stop=3, lose=3, tick=10, people=12, repost=5, tries=6, packs=(1,), starts_waiting=True,
    ),
    Weather(
        "everything at once",
        kill=3, stop=3, lose=2, queue=5, redis=1, tool=3, skew=2, hints=1, pages=8, term=2, repost=4, tries=1,
    ),
)  # fmt: skip


def weather_of(seed: int) -> Weather:
    """Seeds take turns, so that a few of them meet each weather."""
    return WEATHERS[seed % len(WEATHERS)]


def acts(seed: int, world: World, length: int) -> Iterator[Act]:
    """What happens, one act after the other; each is drawn when the one before is done."""
    chance, weather = random.Random(seed), weather_of(seed)
    pack = chance.choice(weather.packs)
    yield ("pace", chance.choice((0.0, 0.5, 4.0, 20.0)), chance.choice((0.2, 3.0)))
    yield ("submit", 0, pack, chance.randint(1, 2), chance.randint(0, 3))
    if weather.starts_waiting:
        yield ("submit", 1, pack, 2, chance.randint(0, 3))
        yield from _till_they_wait(chance, world)
        yield ("try", chance.randrange(3), chance.randrange(5))
    kinds = _kinds(weather)
    names, weights = list(kinds), list(kinds.values())
    waiting: list[str] = []  # what is to befall the next one that writes
    wanting = 0  # people who are there for a question, and do not meddle before there is one
    for _ in range(length):
        kind = chance.choices(names, weights)[0]
        if kind in ("kill", "lose") and chance.random() < 0.7:
            waiting.append(kind)
        elif kind == "wish" and chance.random() < 0.7:
            wanting += 1
        elif wanting and (asking := _who_asks(world)):
            wanting -= 1
            yield ("wish", chance.randrange(3), chance.choice(asking), chance.randrange(1000))
        elif waiting and (writing := _who_writes(world)):
            yield _strike(waiting.pop(), *chance.choice(writing), chance)
        else:
            yield _draw(kind, chance, world, weather)


def _till_they_wait(chance: random.Random, world: World) -> Iterator[Act]:
    for _ in range(UNDISTURBED):
        if len(_who_asks(world)) > 1:
            return
        yield _draw("turn", chance, world, weather_of(0))


def _strike(kind: str, name: str, at: int, chance: random.Random) -> Act:
    """Within a transaction, at its end, or after it."""
    fuse = chance.randint(0, 15)
    return ("kill", name, fuse, at) if kind == "kill" else ("lose", name, fuse, chance.random() < 0.5, at)


def _who_writes(world: World) -> list[tuple[str, int]]:
    """Threads that are about to begin a transaction: the process, and which of its threads that can go."""
    found = []
    for name in world.names:
        ready = [task for task in world.processes[name].tasks if task.can_go]
        found += [(name, at) for at, task in enumerate(ready) if task.at.startswith("BEGIN")]
    return found


def _kinds(weather: Weather) -> dict[str, float]:
    """Weights by what happens."""
    return {
        "turn": 100.0,
        "kill": weather.kill,
        "start": 3 * (weather.kill + weather.term),
        "stop": weather.stop,
        "cont": weather.stop,
        "lose": weather.lose,
        "drop": weather.queue / 3,
        "double": weather.queue / 3,
        "swap": weather.queue / 6,
        "late": weather.queue / 6 + 0.5,
        "redis": weather.redis,
        "tool": weather.tool,
        "skew": weather.skew,
        "hints": weather.hints,
        "open": weather.pages / 6,
        "read": weather.pages,
        "cut": weather.pages / 6,
        "connect": weather.pages / 3,
        "wish": weather.people,
        "try": weather.tries,
        "post": weather.people + weather.repost,
        "submit": 0.25,
        "tick": weather.tick,
        "term": weather.term,
    }


def _draw(kind: str, chance: random.Random, world: World, weather: Weather) -> Act:
    some = chance.randrange(1000)
    if kind == "turn":
        ready = world.ready_tasks()
        return ("turn", chance.choice(ready).name) if ready else ("tick", _to_next_wake(world))
    if kind == "stop" and world.slices and some % 2:
        return (kind, chance.choice(sorted(world.slices)))  # seldom at work, and not for long
    if kind in ("start", "stop", "cont", "term"):
        return (kind, chance.choice(world.names))
    if kind == "kill":
        return ("kill", chance.choice(world.names), 0, some)
    if kind == "lose":
        names = world.names if not weather.pages else ["web", *world.names]
        return ("lose", chance.choice(names), 0, chance.random() < 0.5, some)
    if kind == "double":
        return ("double", some, chance.choice((1, 1, 9)))
    if kind in ("redis", "tool", "hints"):
        return (kind, chance.random() < 0.5)
    if kind == "skew":
        return ("skew", chance.choice(world.names), chance.choice((-300.0, 0.0, 300.0)))
    if kind == "wish":
        return ("wish", chance.randrange(3), some, chance.randrange(1000))
    if kind == "try":
        return ("try", some, chance.randrange(1000))
    if kind == "submit":
        return ("submit", some, chance.choice(weather.packs), chance.randint(1, 2), chance.randint(0, 3))
    if kind == "post" and chance.random() > weather.repost / (weather.repost + weather.people):
        new = [at for at, wish in enumerate(world.people.wishes) if not wish.posts]
        return ("post", chance.choice(new)) if new else ("turn", "")
    if kind == "cut":
        return ("cut", some, chance.random() < 0.3)
    if kind == "tick" and any(world.processes[name].is_stopped for name in world.slices):
        return ("tick", 16.0)
    if kind == "tick":
        return ("tick", chance.choice((0.01, 0.3, 1.0, 3.0, 6.0, 16.0)))
    return (kind, some)


def _who_asks(world: World) -> list[int]:
    """The places of jobs that wait for people."""
    return [at for at, row in enumerate(world.observer.rows.values()) if row.status == "waiting"]


def _to_next_wake(world: World) -> float:
    """Nobody can go: time goes to where somebody wakes."""
    waking = [
        task.wakes_at for task in world.tasks if task.wakes_at is not None and not task.process.is_stopped
    ]
    return max(0.0, min(waking) - world.turns.now) if waking else 1.0
