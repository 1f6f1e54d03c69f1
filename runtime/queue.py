"""The queue of job ids, and of backtests': the only import of RQ.

Redis is transport, never truth (D7.3). Enqueueing says "somebody look at job 17"; whoever looks claims the job
in the database under a new epoch. A lost enqueue is repaired by the reconciler, a doubled or late one finds
nothing to claim. So nothing here reads RQ's statuses, and nothing is retried or rescheduled by RQ.

RQ is pinned to 3.0.0. It was read and run for: LMOVE on a single queue (a crash between dequeue and work leaves the
id recoverable), the JSON serializer on both sides, `timeout=-1`, `result_ttl=0` deleting what succeeded, and the
methods overridden below. 2.12 can call finished jobs abandoned (rq#2424).
"""

import contextlib
import logging
import re
import threading
import time
import uuid
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections, connections
from django.utils.module_loading import import_string
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import InvalidJobOperation, StopRequested
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.worker_registration import register

from runtime.failpoints import failpoint
from runtime.storage_trouble import DATABASE_AWAY

QUEUE_NAME = "converge"
# The two things that a message may make a worker do. Each takes one id: of a job, or of a backtest.
ALLOWED_CALLABLE = "runtime.worker.run_job"
BACKTEST_CALLABLE = "runtime.backtesting.run_slice"

JobId = int | str
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_BACKTEST_ID = re.compile(r"[0-9]{1,18}")
# How messages about backtests are named. No job id holds an underscore, so neither is taken for the other.
_OF_BACKTEST = "backtest_"
_SHAPES = {ALLOWED_CALLABLE: _JOB_ID, BACKTEST_CALLABLE: _BACKTEST_ID}

HEARTBEAT_SECONDS = 5
# A worker that says nothing for this long is gone from `queue_state`; Redis' clock alone decides.
WORKER_TTL_SECONDS = 20
FAILURE_TTL_SECONDS = 3600
# What the scheduler says of itself after each round, for a day.
logger = logging.getLogger(__name__)


class RefusedPayload(Exception):
    """A message asked for something other than running one job, or a slice of one backtest, by its id."""


def enqueue_job(job_id: JobId) -> bool:
    """Asks some worker to look at a job. Call it after the commit that made the job due.

    Returns False, after at most a second, if Redis is out: the reconciler enqueues again what is due.
    """
    return _enqueue(ALLOWED_CALLABLE, job_id, str(job_id), f"job {job_id}")


def enqueue_backtest(backtest_id: int) -> bool:
    """Asks some worker to go on with a backtest, when the jobs that wait by now have had their turn. Call it after the
    commit that made it due; returns False as `enqueue_job` does."""
    return _enqueue(BACKTEST_CALLABLE, backtest_id, f"{_OF_BACKTEST}{backtest_id}", f"backtest {backtest_id}")


def _enqueue(function: str, argument: JobId, name: str, description: str) -> bool:
    failpoint("queue.before_enqueue")
    # An RQ id of its own for every message: under one id per job, a wake-up sent while that job still runs
    # is deleted together with the run that ends (`result_ttl=0`).
    message_id = f"{name}-{uuid.uuid4().hex[:12]}"
    try:
        _queue(redis_client(settings.CONVERGE_REDIS_URL)).enqueue_call(
            func=function,
            args=(argument,),
            timeout=-1,  # RQ's JobTimeoutException can land in the middle of a commit; budgets end jobs (D2.7)
            result_ttl=0,
            failure_ttl=FAILURE_TTL_SECONDS,
            job_id=message_id,
            description=description,
        )
    except RedisError as error:
        outage.note(error)
        return False
    outage.note(None)
    return True


def read_queued_ids() -> frozenset[str] | None:
    """Returns the job ids that wait in the queue, as text, or None if Redis is out.

    The reconciler leaves these alone, or a busy queue would grow by a message a job every round.
    """
    names = _read_names()
    return None if names is None else frozenset(name for name in names if backtest_of(name) is None)


def read_queued_backtests() -> frozenset[int] | None:
    """Returns the ids of the backtests that wait in the queue, or None if Redis is out."""
    names = _read_names()
    return None if names is None else frozenset(at for name in names if (at := backtest_of(name)) is not None)


def _read_names() -> list[str] | None:
    try:
        messages = redis_client(settings.CONVERGE_REDIS_URL).lrange(f"rq:queue:{QUEUE_NAME}", 0, -1)
    except RedisError as error:
        outage.note(error)
        return None
    return [name_of(message) for message in messages]


def work(burst: bool = False) -> bool:
    """Runs jobs in this process, one after the other, until asked to stop. With `burst`, until none is queued.

    SIGTERM and SIGINT ask it to stop: an idle worker ends at once, a busy one when the job it runs lets go,
    which `stop_requested` asks it to do between two cycles. Outside `burst`, a Redis that goes away is waited for.

    Returns whether it did any job. Raises RedisError in `burst` only.
    """
    if burst:
        return bool(_make_worker(_worker_client()).work(burst=True))
    # A worker keeps its database connection; one that broke meanwhile is found before the next job.
    connections["default"].settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    did_any = False
    try:
        while not stop_requested():
            try:
                did_any |= bool(_make_worker(_worker_client()).work())
            except RedisError as error:
                outage.note(error)
            # RQ leaves its loop when Redis fails it in the middle of its bookkeeping. The job it ran is safe in
            # the database by then, so the process goes on with a new worker.
            if not stop_requested():
                time.sleep(1)
    except StopRequested:
        pass  # raised by the signal's handler while no worker was in its loop to take it
    return did_any


def stop_requested() -> bool:
    """Whether this worker was asked to stop: the running job should park after its present cycle."""
    return InProcessWorker.is_asked_to_stop


class IdOnlyJob(Job):
    """An RQ job that can do two things: hand a job id to `runtime.worker.run_job`, or a backtest's to
    `runtime.backtesting.run_slice`.

    Whoever can write to Redis must not be able to run code here: besides JSON instead of pickle, every other
    thing that RQ would obey in a stored job (callable, callbacks, webhooks, repeats, dependents) is dropped.
    """

    def restore(self, raw_data: Any) -> Any:
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self._success_callback = self._failure_callback = self._stopped_callback = None
        self.webhooks: list[Any] = []
        self.repeats_left = self.retries_left = None
        self._dependency_ids: list[str] = []
        # Computed from the payload if it is absent, before anybody has checked the payload.
        self.description: str = self.description or self.id
        return restored

    def _fetch_status(self) -> JobStatus:
        try:
            return super()._fetch_status()
        except InvalidJobOperation:
            # Redis lost everything while the job ran. RQ would call the job failed, which it is not.
            return JobStatus.FINISHED

    def _execute(self) -> None:
        function = self.func_name
        is_known = isinstance(function, str) and function in _SHAPES
        if not is_known or self.instance is not None or self.kwargs or len(self.args) != 1:
            raise RefusedPayload(
                f"message {self.id} is not an id for {ALLOWED_CALLABLE} or {BACKTEST_CALLABLE}"
            )
        argument = self.args[0]
        if not isinstance(argument, int | str) or not _SHAPES[function].fullmatch(str(argument)):
            raise RefusedPayload(f"message {self.id} names no job, and no backtest")
        failpoint("queue.after_dequeue")
        close_old_connections()
        try:
            import_string(function)(argument)
            failpoint("queue.before_finish")
        except DATABASE_AWAY:
            InProcessWorker.is_database_in_doubt = True
            raise
        finally:
            close_old_connections()


class NoDeathPenalty(BaseDeathPenalty):
    """RQ's time limit, switched off: it raises wherever the job happens to be, a commit included."""

    def setup_death_penalty(self) -> None:
        pass

    def cancel_death_penalty(self) -> None:
        pass


class InProcessWorker(SimpleWorker):
    """Runs jobs in its own process.

    A forked work-horse costs 18 ms a job against 3.9 ms, survives its killed parent as an orphan (rq#1602), and
    inherits database connections. What a fork protects from, we have otherwise: a job that takes the process
    down loses nothing committed, and another runtime takes over after the lease, under a higher epoch (D7.1).
    """

    death_penalty_class = NoDeathPenalty
    job_class = IdOnlyJob
    max_connection_wait_time = 5.0
    # Of the process. A plain attribute: a handler that sets an Event can deadlock with the wait it interrupts.
    is_asked_to_stop = False
    is_database_in_doubt = False  # it failed the last job; of the process as well

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        self._ended = threading.Event()
        threading.Thread(target=self._keep_alive, name="worker-heartbeat", daemon=True).start()

    def teardown(self) -> None:
        self._ended.set()
        super().teardown()

    def subscribe(self) -> None:
        """RQ's remote commands (shutdown, kill) stay off: nobody uses them, whoever writes to Redis could."""

    def set_shutdown_requested_date(self) -> None:
        """Kept out of Redis: it is called in a signal handler, where the client's locks may be held."""

    def handle_warm_shutdown_request(self) -> None:
        InProcessWorker.is_asked_to_stop = True

    def execute_job(self, job: Any, queue: Any) -> None:
        super().execute_job(job, queue)
        if self._takes_signals and InProcessWorker.is_database_in_doubt:
            self._wait_for_database()
        InProcessWorker.is_database_in_doubt = False

    def _wait_for_database(self) -> None:
        """Takes nothing off the queue meanwhile: a host that is cut off from the database, and not from Redis, would
        take one message after another, do nothing for any, and leave nothing for those that can."""
        if _database_answers():
            return
        began = time.monotonic()
        logger.warning("The database does not answer; no job is taken until it does.")
        while not stop_requested() and not _database_answers():
            time.sleep(0.5)  # a handler's plain flag wakes nobody
        logger.warning("The database was waited for, %.0f s.", time.monotonic() - began)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        super().heartbeat(WORKER_TTL_SECONDS, pipeline=pipeline)

    def _install_signal_handlers(self) -> None:
        # A burst inside a test or a command leaves the process's own handlers alone.
        if self._takes_signals:
            super()._install_signal_handlers()

    def work(self, burst: bool = False, **options: Any) -> bool:
        self._takes_signals = not burst
        return bool(super().work(burst=burst, **options))

    def _keep_alive(self) -> None:
        """A job may run for minutes, in which RQ says nothing; and Redis may come back empty."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(RedisError), self.connection.pipeline() as pipeline:
                pipeline.hset(self.key, mapping=self.serialize() | {"state": self.get_state()})
                register(self, pipeline)
                self.heartbeat(pipeline=pipeline)
                pipeline.execute()


def _database_answers() -> bool:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        connections["default"].close()
        return False
    return True


class Outage:
    """Says once that Redis is out, and once that it is back, whatever the number of calls between."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._lock = threading.Lock()

    def note(self, error: RedisError | None) -> None:
        with self._lock:
            if error is not None and self._since is None:
                self._since = time.monotonic()
                logger.warning("Redis does not answer (%s); due jobs are enqueued when it is back.", error)
            elif error is None and self._since is not None:
                logger.warning("Redis answers again after %.0f s.", time.monotonic() - self._since)
                self._since = None


outage = Outage()


@lru_cache(maxsize=4)
def redis_client(url: str) -> Redis:
    """A client that gives up after a second and tries once: redis-py's own retries block a page for a minute."""
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))


def _worker_client() -> Redis:
    """A client of the worker's own: RQ sets its socket timeout to outlast a blocking dequeue."""
    return Redis.from_url(settings.CONVERGE_REDIS_URL, socket_connect_timeout=2)


def _queue(client: Redis) -> Queue:
    return Queue(QUEUE_NAME, connection=client, serializer=JSONSerializer, job_class=IdOnlyJob)


def _make_worker(client: Redis) -> InProcessWorker:
    return InProcessWorker(
        [_queue(client)],
        connection=client,
        serializer=JSONSerializer,
        # Dequeueing blocks for this less 15 s, and then says so to Redis.
        worker_ttl=30,
        default_result_ttl=0,
        log_job_description=False,
    )


def text_of(value: bytes | str) -> str:
    """What Redis gave back, as text."""
    return value.decode() if isinstance(value, bytes) else value


def name_of(message: bytes | str) -> str:
    """Which job or backtest a message is about, by the name it was enqueued under."""
    return text_of(message).rpartition("-")[0]


def backtest_of(name: str) -> int | None:
    """The backtest of such a name; None if it is a job's."""
    number = name.removeprefix(_OF_BACKTEST)
    return int(number) if number != name and _BACKTEST_ID.fullmatch(number) else None
