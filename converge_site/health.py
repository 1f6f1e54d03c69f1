"""`/healthz`: whether this web process can serve, and if not, why.

Asked by `up`, by containers and by people; it needs no sign-in and tells nothing but the causes.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis import Redis

from runtime.storage_trouble import probe_storage, trouble_in

ANSWER_WITHIN_SECONDS = 2.0


class CannotWrite(Exception):
    """What is asked answers, and takes nothing. The message says why, for anybody."""


class Probe:
    """Asks one dependency on a thread of its own.

    A dependency that hangs holds that one thread: later requests wait on the same question, each
    until its own deadline, and no request thread is lost to it.
    """

    def __init__(self, name: str, ask: Callable[[], None]) -> None:
        self._name = name
        self._ask = ask
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"health-{name}")
        self._asked: Future[None] | None = None

    def start(self) -> None:
        """Asks, unless the last question still waits for its answer."""
        if self._asked is None or self._asked.done():
            self._asked = self._pool.submit(self._ask)

    def find_cause(self, deadline: float) -> str | None:
        """Returns what is wrong, or None. Only the kind of error is told: its text may hold an address or a path."""
        assert self._asked is not None
        try:
            self._asked.result(timeout=max(deadline - time.monotonic(), 0))
        except FutureTimeout:
            return f"{self._name}: no answer within {ANSWER_WITHIN_SECONDS:g} s"
        except CannotWrite as error:
            return f"{self._name}: {error}"
        except Exception as error:
            trouble = trouble_in(error)
            return f"{self._name}: {trouble.cause if trouble else type(error).__name__}"
        return None


def _ask_database() -> None:
    try:
        with connection.cursor() as cursor:
            # A table of ours: an empty database answers, but cannot serve.
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
            cursor.fetchone()
            if connection.vendor == "postgresql":
                cursor.execute("SHOW transaction_read_only")
                if cursor.fetchone() != ("off",):
                    raise CannotWrite("it is read-only")
    finally:
        connection.close()


def _ask_disk() -> None:
    if (trouble := probe_storage()) is not None:
        raise CannotWrite(trouble.cause)


def _ask_redis() -> None:
    with Redis.from_url(
        settings.CONVERGE_REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=None
    ) as client:
        client.ping()


_probes = (Probe("database", _ask_database), Probe("redis", _ask_redis), Probe("disk", _ask_disk))


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 `{"status": "ok"}`, or 503 `{"status": "unavailable", "causes": [...]}`, within about two seconds."""
    for probe in _probes:
        probe.start()
    deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
    causes = [cause for probe in _probes if (cause := probe.find_cause(deadline))]
    if causes:
        answer = JsonResponse({"status": "unavailable", "causes": causes}, status=503)
        # Django logs every 5xx; a monitor that asks each second would fill the log with what is known.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer
    return JsonResponse({"status": "ok"})
