"""Fixtures for whoever tests the runtime with packs of its own. Import them in a conftest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from redis import Redis

from runtime.actions.sync_packs import sync_packs
from runtime.agents import Pack, find_pack, registry
from tests.runtime.stage import offer

Use = Callable[..., Pack]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with a package that offers the packs of tests/runtime/packs.py."""
    directory = tmp_path / "installed"
    names = ("walk", "choir", "echo", "panel", "asker", "linger", "timed")
    offer(directory, {name: f"tests.runtime.packs:{name}" for name in names})
    return directory


@pytest.fixture
def use_packs(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """`use_packs("walk", ...)` makes packs known in this process and syncs them. "module:attribute" offers another."""

    def use(*names: str) -> Pack:
        extra = {name.rpartition(":")[2]: name for name in names if ":" in name}
        if extra:
            offer(installed / "more", extra)
            monkeypatch.syspath_prepend(str(installed / "more"))
        registry._found.cache_clear()
        found = [find_pack(name.rpartition(":")[2]) for name in names]
        packs = [pack for pack in found if pack is not None]
        assert len(packs) == len(names), registry.pack_faults()
        sync_packs(packs, ())
        return packs[0]

    monkeypatch.syspath_prepend(str(installed))
    yield use
    registry._found.cache_clear()


@pytest.fixture
def empty_queue() -> Iterator[Redis]:
    """Redis with nothing in it, before and after."""
    with Redis.from_url(django_settings.CONVERGE_REDIS_URL) as client:
        client.flushall()
        yield client
        client.flushall()
