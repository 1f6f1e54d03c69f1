"""A pytest plugin for runs on PostgreSQL: tables are emptied by DELETE.

A test that commits ends with all tables emptied. TRUNCATE makes a new file for each table and index, a quarter of a
second for ours; most of them are empty, or hold a few rows.
"""

from __future__ import annotations

from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Puts it in place."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    truncate = DatabaseOperations.sql_flush

    def sql_flush(
        self: DatabaseOperations, style: Any, tables: list[str], *, reset_sequences: bool = False, **rest: Any
    ) -> list[str]:
        if reset_sequences:
            return list(truncate(self, style, tables, reset_sequences=True, **rest))
        deletes = [f"DELETE FROM {self.quote_name(table)};" for table in tables]
        # Foreign keys are not looked at meanwhile: in the end nothing is left that could point anywhere.
        return ["SET LOCAL session_replication_role = replica;", *deletes]

    DatabaseOperations.sql_flush = sql_flush
