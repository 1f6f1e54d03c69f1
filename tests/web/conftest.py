"""The cast as fixtures; and, for journeys, the real stack and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, expect

from converge_site.fragments.breakers import forget_breakers
from runtime.actions import submit_job
from runtime.models import Job
from runtime.tools.flaky import TOOLS, FlakyTools
from runtime.tools.gate import shared_gate
from tests.runtime.fixtures import Use, installed, use_packs
from tests.sharing import is_journey
from tests.web import cast, packs
from tests.web.chromium import open_chromium
from tests.web.journeys import PATIENCE
from tests.web.stack import Stack
from tests.web.tools import make_tool

__all__ = ["installed", "use_packs"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says aloud what a fixture asks for: tests/conftest.py goes by the mark of a test that is one transaction."""
    for item in items:
        if (
            item.path.parent == Path(__file__).parent
            and "db" in getattr(item, "fixturenames", ())
            and item.get_closest_marker("django_db") is None
        ):
            item.add_marker(pytest.mark.django_db)
        if "stack" in getattr(item, "fixturenames", ()):
            assert is_journey(str(item.path)), (
                f"{item.nodeid} uses the stack: have `journey` in its file's name."
            )


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Real hashes take half a second each, and nobody attacks this database."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def tools(flaky_tools: FlakyTools) -> FlakyTools:
    """The simulated tools of the growth pack, well, with breakers that are closed."""
    for tool in TOOLS:
        flaky_tools.mode(tool, "ok")
        shared_gate().reset(tool)
    forget_breakers()
    return flaky_tools


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


@pytest.fixture
def scouts_job(use_packs: Use, people: dict[str, User]) -> Job:
    """A job of Otto's with a search that answers: converged."""
    use_packs("tests.web.packs:scouts")
    return cast.run_on(submit_job(people["otto"], "scouts", packs.TOPICS, "Two topics"))


@pytest.fixture
def recovering_job(use_packs: Use, people: dict[str, User]) -> Iterator[Job]:
    """A job of Otto's whose search times out: parked at tier 2 of 3."""
    use_packs("tests.web.packs:scouts")
    make_tool()
    packs.search["fails"] = "timeout"
    job = cast.run_on(submit_job(people["otto"], "scouts", packs.TOPICS, "Two topics"))
    assert (job.status, job.tier, job.waits_on) == ("recovering", 2, " search ")
    yield job
    packs.search["fails"] = ""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`manage.py up` in a home of its own, with the cast in its database."""
    running = Stack(Path(tmp_path_factory.mktemp("up")))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, and patience with it. One a file: while it is open no job can be run in this thread."""
    expect.set_options(timeout=PATIENCE)
    with open_chromium() as chromium:
        yield chromium
