"""Whether anybody has written to the database since, asked in microseconds: an idle page must cost next to nothing."""

from __future__ import annotations

from django.db import connection


def read_version() -> object:
    """Something that differs from an earlier answer, given over the same connection, if anybody else has committed
    since; None if the database cannot tell."""
    with connection.cursor() as cursor:
        match connection.vendor:
            case "sqlite":
                cursor.execute("PRAGMA data_version")
            case "postgresql":
                # It moves when a transaction that writes begins or ends, and else stands still.
                cursor.execute("SELECT pg_current_snapshot()::text")
            case _:
                return None
        return cursor.fetchone()
