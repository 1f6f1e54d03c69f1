"""JSON columns that give back what was put in, on any database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models


class JSONField(models.JSONField):
    """Django's, but for numbers and the order of keys. PostgreSQL keeps numbers as decimals and writes 1e22 out, for
    which Python reads an integer: no longer the value that was stored, and past what the journal can hold. It gives
    back the shorter keys first; values are journalled, and shown, by name. Migrations see Django's field."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        return as_put_in(found) if connection.vendor == "postgresql" else found

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


def as_put_in(value: Any) -> Any:
    """A value as it was put in: PostgreSQL gives back an integer for 1e22, and keys by their length."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        try:
            number = float(value)
        except OverflowError:
            return value
        return number if Decimal(repr(number)) == value else value
    if isinstance(value, list):
        return [as_put_in(part) for part in value]
    return {k: as_put_in(v) for k, v in sorted(value.items())} if isinstance(value, dict) else value
