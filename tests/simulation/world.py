"""A whole installation: workers, a scheduler, a web process, people, viewers, a tool; and all that may befall them.

`do` carries out one act. Acts are plain tuples, so that a history is a list that can be shortened and played again;
one that makes no sense at the moment (its process is gone, say) does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from converge_site.live import hub
from runtime import failpoints, queue, stopping
from runtime.backtesting import run_slice
from runtime.management.commands.reconcile import LONGEST_PAUSE_SECONDS
from runtime.models import Job
from runtime.reconciler import reconcile_once
from runtime.tools.record import Unrecorded
from runtime.worker import run_job
from tests.simulation.browsers import Browser, panels_of
from tests.simulation.injection import Bench
from tests.simulation.observer import Observer
from tests.simulation.packs import PACKS, Scene
from tests.simulation.people import People
from tests.simulation.stand_ins import Loop
from tests.simulation.store import LOST, LostDatabase, roll_back
from tests.simulation.turns import Killed, Process, Task
from tests.simulation.violation import Violation

Act = tuple[Any, ...]

RECONCILE_SECONDS = 2.0  # as `manage.py reconcile`
GRACE_SECONDS = 5.0
MAX_JOBS = 3
MAX_WISHES = 6
MAX_BROWSERS = 3


class World:
    """An installation on a bench that was cleared. `has_scheduler` False: nobody repairs what was lost."""

    def __init__(self, bench: Bench, workers: int = 2, has_scheduler: bool = True) -> None:
        self.bench, self.turns = bench, bench.turns
        self.worker_names = [f"worker-{n}" for n in range(1, workers + 1)]
        self.names = [*self.worker_names, *(["scheduler"] if has_scheduler else []), "web"]
        self.processes: dict[str, Process] = {}
        self.held: dict[str, int] = {}  # which job a worker runs
        self.slices: dict[str, int] = {}  # and which backtest
        self.leaves_to_clock = False  # nobody answers, once all is healed, what has a deadline
        self.loop: Loop | None = None  # of the web process
        self.people = People(bench)
        self.browsers: list[Browser] = []
        self.observer = Observer(bench, self)
        self.lost_database = 0
        self.kills = 0
        self._mains: dict[str, Callable[[Process], None]] = {"scheduler": self._reconcile, "web": self._serve}
        for name in self.names:
            self._start(name)

    # -- processes ---------------------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        process = self.processes[name] = Process(self.turns, name)
        main = self._mains.get(name, self._work)
        process.start("", lambda: main(process))

    def _work(self, process: Process) -> None:
        """`manage.py worker`, as far as RQ is concerned: one message after another."""
        redis = self.bench.redis
        while not process.asked_to_stop:
            self.turns.wait(lambda: process.asked_to_stop or bool(redis.waiting), None, "wait for a message")
            try:
                message = redis.take()
            except RedisError:
                self.turns.sleep(1.0)
                continue
            if message is None:
                continue
            failpoints.failpoint("queue.after_dequeue")
            kind, asked = message
            (self.held if kind == "job" else self.slices)[process.name] = asked
            try:
                (run_job if kind == "job" else run_slice)(asked)
            except (LostDatabase, Unrecorded):
                if not self.lost_database:
                    raise
            finally:
                self._let_go(process.name)

    def _let_go(self, name: str) -> None:
        self.held.pop(name, None)
        self.slices.pop(name, None)

    def _reconcile(self, process: Process) -> None:
        """`manage.py reconcile`."""
        pause = RECONCILE_SECONDS
        while True:
            try:
                reconcile_once()
                pause = RECONCILE_SECONDS
            except LostDatabase:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            self.turns.sleep(pause)

    def _serve(self, process: Process) -> None:
        """`manage.py up`'s web process: an event loop, a tailer that it starts, and a thread for each POST."""
        hub._hub = None  # a process begins with none
        self.loop = Loop(self.turns)
        self.loop.run_forever()

    @property
    def tasks(self) -> list[Task]:
        """All threads there are, in a fixed order."""
        return [task for name in self.names for task in self.processes[name].tasks]

    def ready_tasks(self) -> list[Task]:
        """Those that could do something now."""
        return [task for task in self.tasks if task.can_go]

    # -- acts --------------------------------------------------------------------------------------------------

    def do(self, act: Act) -> None:
        """Carries out one act, and looks whether everything still holds."""
        getattr(self, f"do_{act[0]}")(*act[1:])
        self.observer.look()

    def do_turn(self, name: str) -> None:
        """A thread goes on to where it would touch what others see."""
        task = next((task for task in self.tasks if task.name == name), None)
        if task is not None and task.can_go:
            self.go(task)

    def do_kill(self, name: str, fuse: int, at: int) -> None:
        """kill -9, at the `fuse`th place from here: so many statements deep in a transaction that begins here."""
        process = self.processes.get(name)
        if process is None or not process.is_alive:
            return
        task = self._some_task(process, at)
        if fuse and task is not None:

            def blow(place: str) -> None:
                process.is_alive = False
                raise Killed

            self.go(task, fuse, blow)
        self.kills += 1
        self._bury(process)

    def _bury(self, process: Process) -> None:
        name = process.name
        process.kill()
        roll_back(self.bench.database)
        self._let_go(name)
        self.bench.held.pop(name, None)
        if name == "web":
            self.loop = None
            for browser in self.browsers:
                browser.socket = None

    def do_lose(self, name: str, fuse: int, is_done: bool, at: int) -> None:
        """The database is lost at the `fuse`th place from here, before the statement is done or just after."""
        task = self._some_task(self.processes[name], at)
        if task is None:
            return
        database = self.bench.database

        def blow(place: str) -> None:
            if place.isupper() or place.lstrip().split(" ", 1)[0].isupper():  # a statement, or COMMIT
                self.lost_database += 1
                if is_done and (place == "COMMIT" or not database.in_atomic_block):
                    database.lose_after_commit = not place.startswith("BEGIN")
                    if database.lose_after_commit:
                        return
                raise LostDatabase(LOST)

        self.go(task, fuse, blow)
        database.lose_after_commit = False

    @staticmethod
    def _some_task(process: Process, at: int) -> Task | None:
        ready = [task for task in process.tasks if task.can_go]
        return ready[at % len(ready)] if ready else None

    def do_stop(self, name: str) -> None:
        """SIGSTOP."""
        self.processes[name].is_stopped = True

    def do_cont(self, name: str) -> None:
        """SIGCONT."""
        self.processes[name].is_stopped = False

    def do_term(self, name: str) -> None:
        """SIGTERM, to a worker: it hands its job over after this cycle, or in its midst when the grace is over."""
        process = self.processes[name]
        if name in self.worker_names and process.is_alive and not process.asked_to_stop:
            process.asked_to_stop = True
            process.start("end-in-time", lambda: self._end_in_time(process))

    def _end_in_time(self, process: Process) -> None:
        self.turns.wait(lambda: process.name not in self.held, GRACE_SECONDS, "grace")
        stopping._held = self.bench.held.get(process.name)
        stopping.give_up_held(GRACE_SECONDS)
        process.is_alive = False  # os._exit

    def do_start(self, name: str) -> None:
        """What was killed, or has ended, is there again."""
        process = self.processes[name]
        if not process.is_alive or not process.tasks:
            self._start(name)

    def do_skew(self, name: str, seconds: float) -> None:
        """A process's own clock is wrong."""
        self.processes[name].skew = seconds

    def do_tick(self, seconds: float) -> None:
        """Time passes."""
        self.turns.now += seconds

    def do_drop(self, at: int) -> None:
        """A message is lost."""
        waiting = self.bench.redis.waiting
        if waiting:
            del waiting[at % len(waiting)]

    def do_double(self, at: int, times: int) -> None:
        """A message comes several times."""
        waiting = self.bench.redis.waiting
        if waiting and len(waiting) < 12:
            waiting.extend([waiting[at % len(waiting)]] * times)

    def do_swap(self, at: int) -> None:
        """A message comes early."""
        waiting = self.bench.redis.waiting
        if waiting:
            waiting.insert(0, waiting.pop(at % len(waiting)))

    def do_late(self, job: int) -> None:
        """A message about a job or a backtest that nobody sent, or that was thought lost."""
        backtests = self.bench.database.ask("SELECT id FROM runtime_backtest ORDER BY id")
        names = [*map(str, self._job_ids()), *(f"{queue._OF_BACKTEST}{pk}" for (pk,) in backtests)]
        if names and len(self.bench.redis.waiting) < 12:
            self.bench.redis.waiting.append(f"{names[job % len(names)]}-late")

    def do_redis(self, is_out: bool) -> None:
        """Redis goes, with all it has, or comes back."""
        self.bench.redis.is_out = is_out
        if is_out:
            self.bench.redis.waiting.clear()

    def do_hints(self, are_lost: bool) -> None:
        """Hints to the pages are lost, or arrive."""
        self.bench.layer.loses_hints = are_lost

    def do_tool(self, is_down: bool) -> None:
        """The tool goes down, or comes back."""
        self.bench.oracle.is_down = is_down

    def do_pace(self, work: float, tool: float) -> None:
        """How long agents and the tool take from now on, in seconds."""
        Scene.work_seconds, self.bench.oracle.seconds = work, tool

    def do_submit(self, by: int, pack: int, seeds: int, first: int) -> None:
        """Somebody submits a job."""
        if sum(w.what.startswith("submit") for w in self.people.wishes) < MAX_JOBS:
            name = list(PACKS)[pack % len(PACKS)]
            self.people.wish_job(by, name, seeds, first)
            self.do_post(-1)

    def do_wish(self, by: int, job: int, choice: int) -> None:
        """Somebody looks at a job and fills a form in, and sends it some other time."""
        ids = self._job_ids()
        if ids and len(self.people.wishes) < MAX_WISHES:
            self.people.wish_act(by, ids[job % len(ids)], choice)

    def do_try(self, by: int, rule: int) -> None:
        """Somebody tries a rule on past jobs, or breaks that off."""
        if len(self.people.wishes) < MAX_WISHES:
            self.people.wish_backtest(by, rule)
            self.do_post(-1)

    def do_post(self, at: int) -> None:
        """A form is sent, for the first time or again."""
        wishes, web = self.people.wishes, self.processes["web"]
        if wishes and web.is_alive and len(web.tasks) < 8:
            wish = wishes[at % len(wishes)]
            web.start(f"post-{wish.receipt}-{wish.posts}", lambda: self.people.post(wish))

    def do_open(self, job: int) -> None:
        """Somebody opens a job's page."""
        ids = self._job_ids()
        if ids and self.loop is not None and len(self.browsers) < MAX_BROWSERS:
            row = Job.objects.get(pk=ids[job % len(ids)])
            browser = Browser(row.pk, row.entries, panels_of(row))
            browser.connect(self.loop)
            self.browsers.append(browser)

    def do_read(self, at: int) -> None:
        """A browser takes what has arrived."""
        if self.browsers:
            self.browsers[at % len(self.browsers)].read()

    def do_cut(self, at: int, quietly: bool) -> None:
        """A browser's line is cut."""
        if self.browsers:
            self.browsers[at % len(self.browsers)].cut(quietly)

    def do_connect(self, at: int) -> None:
        """A browser whose line was cut comes back."""
        if self.browsers and self.loop is not None:
            browser = self.browsers[at % len(self.browsers)]
            if browser.socket is None:
                browser.connect(self.loop)

    def _job_ids(self) -> list[int]:
        return [pk for (pk,) in self.bench.database.ask("SELECT id FROM runtime_job ORDER BY id")]

    def go(self, task: Task, fuse: int | None = None, blow: Callable[[str], None] | None = None) -> None:
        """A turn for a task, in which `blow` may befall it at the `fuse`th place from here."""
        if fuse is not None and blow is not None:
            self.turns.fuse, self.turns.blow = fuse, blow
        self.observer.turn_of = task.process.name
        try:
            self.turns.go(task)
        except Violation:
            raise
        except Exception as error:
            raise Violation(0, f"{task.name} ended in {type(error).__name__}: {error}") from error
        if not task.process.is_alive and blow is None:
            self._bury(task.process)  # it ended by itself

    def end(self) -> None:
        """Nothing of it goes on."""
        for process in self.processes.values():
            process.kill()
        roll_back(self.bench.database)
