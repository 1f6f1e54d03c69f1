"""System checks: what must hold before the service may run."""

import shutil
from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from runtime.storage_trouble import directories_written, unwritable_database

# See the SQLite release notes of 3.51.3: earlier ones can corrupt a WAL database that several processes use.
FIRST_SOUND_SQLITE = (3, 51, 3)
LITTLE_BYTES = 64 * 1024 * 1024  # a checkpoint of a busy database takes some of it at once


@register(Tags.compatibility)
def check_sqlite_version(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The journal must not live in an SQLite that may corrupt it."""
    connection = connections["default"]
    if connection.vendor != "sqlite":
        return []
    database: Any = connection.Database  # type: ignore[attr-defined]
    if database.sqlite_version_info >= FIRST_SOUND_SQLITE:
        return []
    return [
        Error(
            f"SQLite {database.sqlite_version} can corrupt a database that several processes write "
            "(its WAL-reset bug, fixed in 3.51.3).",
            hint="Install pysqlite3 0.6.1 or newer (`pip install pysqlite3`), use a Python built with SQLite "
            "3.51.3 or newer, or set CONVERGE_DATABASE_URL to a PostgreSQL database.",
            id="converge.E001",
        )
    ]


@register(Tags.compatibility)
def check_storage(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What cannot be written is said before anything is tried. A disk that is nearly full stops nobody: it may be
    freed any time, and what is there can be read meanwhile."""
    found: list[CheckMessage] = []
    if (trouble := unwritable_database()) is not None:
        found.append(Error(trouble.text, id="converge.E002"))
    for directory in directories_written():
        if directory.is_dir() and (free := shutil.disk_usage(directory).free) < LITTLE_BYTES:
            text = f"The disk of {directory} is nearly full: {free // 1024:,} KiB are free."
            found.append(Warning(text, hint="Free some space there.", id="converge.W001"))
    return found


def require_sound_storage() -> None:
    """Raises ImproperlyConfigured, with what to do, where a command would be refused by these checks."""
    for problem in (*check_sqlite_version(None), *check_storage(None)):
        if problem.is_serious():
            raise ImproperlyConfigured(" ".join(filter(None, (problem.msg, problem.hint))))
