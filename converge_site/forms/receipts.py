"""Receipts: one token a rendered form, so that a double click or a repeated POST is one act."""

from __future__ import annotations

import re
import uuid

_SHAPE = re.compile(r"[0-9A-Za-z-]{8,100}")


def new_receipt() -> str:
    """A token nobody else has."""
    return str(uuid.uuid4())


def read_receipt(text: str | None) -> str:
    """The token a form brought back; a new one if it brought none that could be ours."""
    return text if text and _SHAPE.fullmatch(text) else new_receipt()
