"""The database: SQLite in memory behind Django's own backend, with our clock in it; any statement may fail.

One connection serves all, for a transaction is never interrupted by others: SQLite lets one writer in at a time, and
whoever reads meanwhile reads what was there before. So turns change between statements outside a transaction; within
one a process can only die, or lose the database. `close` keeps the data.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.db import OperationalError, connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from tests.simulation.turns import Turns

# Reads of what nobody changes here: who comes before whom makes no difference to them.
_FIXED = re.compile(r'FROM "(auth_\w+|runtime_(pack|agent|governancerule|tool|jobinput))"')
LOST = "the connection was lost (simulated)"


class LostDatabase(OperationalError):
    """What we planted, told apart from what is really wrong."""


class SimulatedDatabase(DatabaseWrapper):
    """A Django connection whose statements take turns."""

    def __init__(self, turns: Turns) -> None:
        given = connections["default"].settings_dict
        here = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        super().__init__(
            {**given, **here, "OPTIONS": {"transaction_mode": "IMMEDIATE", "cached_statements": 1000}},
            "default",
        )
        self.turns = turns
        self.lose_after_commit = False
        self.commits = 0
        self.execute_wrappers.append(self._statement)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        raw.create_function("julianday", -1, lambda *asked: self.turns.now / 86400.0 + 2440587.5)
        raw.create_function("current_timestamp", 0, self._timestamp)
        return raw

    def _timestamp(self) -> str:
        return dt.datetime.fromtimestamp(self.turns.now, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")

    def close(self) -> None:
        """Others use it too, and in memory it would be the end of it."""

    def _statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if self.in_atomic_block:
            self.turns.pause(sql, is_held=not sql.startswith("BEGIN"))
        elif not _FIXED.search(sql):
            self.turns.pause(sql)
        done = execute(sql, params, many, context)
        if not self.in_atomic_block:
            self._lose_answer()
        return done

    def _commit(self) -> None:
        self.turns.pause("COMMIT", is_held=True)
        super()._commit()  # type: ignore[misc]
        self.commits += 1
        self._lose_answer()

    def _lose_answer(self) -> None:
        if self.lose_after_commit:
            self.lose_after_commit = False
            raise LostDatabase(LOST)

    @property
    def changes(self) -> int:
        """A number that grows whenever a row is written."""
        return int(self.connection.total_changes)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """For the simulation's own eyes: no turn is taken, nothing fails."""
        return list(self.connection.execute(sql, values))


def make_tables(database: SimulatedDatabase) -> None:
    """All tables, as the models declare them."""
    with database.schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)


KEPT = ("pack", "agent", "governancerule", "ruleversion", "tool")  # what every simulation begins with


@cache
def _emptied() -> list[str]:
    """The tables that a simulation fills, those that point at others first.

    So no constraint need be switched off: that would make SQLite prepare all statements anew, for every seed.
    """
    left = [m for m in apps.get_app_config("runtime").get_models() if m._meta.model_name not in KEPT]
    tables: list[str] = []
    while left:
        pointed_at = {
            f.related_model for m in left for f in m._meta.concrete_fields if f.related_model is not m
        }
        free = next(model for model in left if model not in pointed_at)
        left.remove(free)
        tables.append(free._meta.db_table)
    return tables


def empty(database: SimulatedDatabase) -> None:
    """Takes everything out that a simulation puts in; ids begin at 1 again."""
    roll_back(database)
    raw, tables = database.connection, _emptied()
    for table in tables:
        raw.execute(f"DELETE FROM {table}")
    raw.execute(f"UPDATE sqlite_sequence SET seq = 0 WHERE name IN ({','.join('?' * len(tables))})", tables)


def roll_back(database: SimulatedDatabase) -> None:
    """What the database does with the transaction of a process that is gone."""
    if database.connection.in_transaction:
        database.connection.rollback()
    database.in_atomic_block = database.needs_rollback = database.lose_after_commit = False
    database.autocommit = True
    database.savepoint_ids, database.atomic_blocks, database.run_on_commit = [], [], []
