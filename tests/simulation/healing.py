"""No more harm: all is up, whoever sent a form sends it until it is answered, and time goes on until all rests."""

from __future__ import annotations

from tests.simulation.violation import Violation
from tests.simulation.world import World

HEAL_SECONDS = 1200.0  # of simulated time, after which whatever does not rest never will
ROUNDS_AT_MOST = 2_500  # a few hundred are usual
FORMS_AT_MOST = 60

_OPEN = """
    SELECT DISTINCT c.job_id FROM runtime_conflict c JOIN runtime_job j ON j.id = c.job_id
    WHERE c.status = 'open' AND j.status NOT IN ('cancelled', 'failed') AND (c.deadline_at IS NULL OR ?)
    ORDER BY c.job_id
"""


def heal(world: World) -> None:
    """Brings a world to rest, its open questions answered. Raises Violation if it does not come to rest."""
    for name in world.names:
        world.do_cont(name)
        world.do_skew(name, 0.0)
        world.do_start(name)
    world.do_redis(False)
    world.do_hints(False)
    world.do_tool(False)
    world.do_pace(0.0, 0.2)
    world.observer.begin_healing()
    until = world.turns.now + HEAL_SECONDS
    for _ in range(ROUNDS_AT_MOST):
        if _take_round(world):
            continue
        if _is_at_rest(world) and not _answer_what_is_open(world):
            return
        if not world.ready_tasks():
            _let_time_pass(world, until)
    raise Violation(9, "the turns run out before all is at rest")


def _take_round(world: World) -> bool:
    """A turn for everybody who can go. Returns whether there was any."""
    for browser in world.browsers:
        if browser.socket is None and world.loop is not None:
            browser.connect(world.loop)
        while browser.socket is not None and (browser.socket.wire or browser.socket.is_closed):
            browser.read()
    ready = world.ready_tasks()
    for task in ready:
        if task.can_go:
            world.go(task)
            world.observer.look()
    for name in world.names:
        world.do_start(name)
    return bool(ready)


def _is_at_rest(world: World) -> bool:
    unanswered = [at for at, wish in enumerate(world.people.wishes) if not wish.is_answered]
    for at in unanswered:
        world.do_post(at)
    return not unanswered and world.observer.is_at_rest()


def _answer_what_is_open(world: World) -> bool:
    """People answer one open question of each job, or leave those with a deadline. Returns whether there was any."""
    rows = world.bench.database.ask(_OPEN, not world.leaves_to_clock)
    for (job_id,) in rows:
        number = len(world.people.wishes)
        if number >= FORMS_AT_MOST:
            return False
        world.people.wish_act(number, job_id, 0)
        world.do_post(number)
    return bool(rows)


def _let_time_pass(world: World, until: float) -> None:
    waking = [task.wakes_at for task in world.tasks if task.wakes_at is not None]
    if not waking or world.turns.now > until:
        raise Violation(9, f"nothing will ever happen again, and {world.observer.tell_unrest()}")
    world.turns.now = max(world.turns.now, min(waking))
    world.observer.look_at_idle_jobs()
