"""The cast as fixtures; and, for journeys, the real stack and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, sync_playwright

from runtime.models import Job
from tests.web import cast
from tests.web.stack import Stack

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Real hashes take half a second each, and nobody attacks this database."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def people(db: Any) -> dict[str, User]:
    return cast.make_people()


@pytest.fixture
def otto(people: dict[str, User]) -> Client:
    return cast.signed_in(people["otto"])


@pytest.fixture
def vera(people: dict[str, User]) -> Client:
    return cast.signed_in(people["vera"])


@pytest.fixture
def ada(people: dict[str, User]) -> Client:
    return cast.signed_in(people["ada"])


@pytest.fixture
def waiting_job(people: dict[str, User]) -> Job:
    """A growth job of Otto's that waits for people."""
    return cast.growth_job(people["otto"])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`manage.py up` in a home of its own, with the cast in its database."""
    running = Stack(Path(tmp_path_factory.mktemp("up")))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()
