from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis

from runtime.tools.gate import RedisGate


@pytest.fixture
def redis() -> Iterator[Redis]:
    """The run's real server, without what another test's tools left there."""
    client = Redis.from_url(settings.CONVERGE_REDIS_URL)
    _forget(client)
    yield client
    _forget(client)
    client.close()


@pytest.fixture
def gate(redis: Redis) -> RedisGate:
    return RedisGate(settings.CONVERGE_REDIS_URL)


def _forget(client: Redis) -> None:
    for key in client.scan_iter("converge:tool:*"):
        client.delete(key)
