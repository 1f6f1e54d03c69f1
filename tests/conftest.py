"""Fixtures that many tests share. Anything narrower lives beside its tests."""

import gc
import logging
import subprocess
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from runtime import embedded_redis, supervise
from runtime.head_log import NEWEST_FILE
from runtime.tools import session
from runtime.tools.flaky import FlakyTools
from tests.postgres_server import running_postgres
from tests.sharing import ByScope, rank, sendable


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "early: takes long; begins first where several processes share the tests"
    )
    # Every client of a test is a server of its own, which would read all static files before its first answer.
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return ByScope(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One of several processes hands its tests over with the long ones in front."""
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look for garbage in it again and again took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    return sendable((yield))


def pytest_unconfigure() -> None:
    """What logs while the process exits would complain, after pytest's closing line, of a stream that is closed."""
    logging.raiseExceptions = False


@pytest.fixture(scope="session", autouse=True)
def redis_server() -> Iterator["subprocess.Popen[bytes]"]:
    """A real server for the whole run, on the socket of the run's own home."""
    command = embedded_redis.server_command(embedded_redis.find_server(), settings.CONVERGE_REDIS_SOCKET)
    server = supervise.start_process(command, Path(settings.CONVERGE_HOME) / "redis.log")
    try:
        embedded_redis.wait_until_it_answers(settings.CONVERGE_REDIS_URL, seconds=15)
        yield server
    finally:
        supervise.stop_process(server, grace=5)


@pytest.fixture(scope="session", autouse=True)
def flaky_tools() -> Iterator[FlakyTools]:
    """The simulator that the tools of the shipped packs are at, for the whole run. Who breaks a tool mends it again."""
    port = int(settings.CONVERGE_FLAKY_TOOLS_URL.rpartition(":")[2])
    with FlakyTools(port) as tools:
        yield tools


@pytest.fixture(autouse=True)
def record_calls_in_the_tests_transaction(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Calls of tools are recorded in a thread with a connection of its own, which would wait for ever for a test that
    is one transaction. For such a test that thread shares its connection; with `transaction=True` all is as ever."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction"):
        yield
        return
    connection = connections["default"]
    connection.inc_thread_sharing()
    share = partial(connections.__setitem__, "default", connection)
    with ThreadPoolExecutor(1, initializer=share) as shared:
        monkeypatch.setattr(session, "_records", shared)
        yield
    connection.dec_thread_sharing()


@pytest.fixture(autouse=True)
def _forget_newest_head() -> None:
    """Each test's database is a new one, while the home stays: the head kept beside it would be of another."""
    (Path(settings.CONVERGE_HOME) / NEWEST_FILE).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL, started for the run by whoever asks first."""
    with running_postgres() as url:
        yield url
