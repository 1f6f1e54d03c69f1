"""System checks: what must hold before the service may run."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

# See the SQLite release notes of 3.51.3: earlier ones can corrupt a WAL database that several processes use.
FIRST_SOUND_SQLITE = (3, 51, 3)


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
