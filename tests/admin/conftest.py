"""The cast as fixtures."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.models import Pack, Tool
from tests.admin import cast


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Real hashes take half a second each, and nobody attacks this database."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(db: Any) -> User:
    """She administers."""
    return cast.person("ada", "admin")


@pytest.fixture
def otto(db: Any) -> User:
    """He operates."""
    return cast.person("otto", "operator")


@pytest.fixture
def growth(db: Any) -> Pack:
    """The growth pack in rows."""
    return cast.growth()


@pytest.fixture
def browser(ada: User, client: Client) -> Client:
    """Ada, signed in."""
    client.force_login(ada)
    return client


@pytest.fixture
def search(ada: User) -> Tool:
    """A tool that Ada made."""
    return cast.search(ada)
