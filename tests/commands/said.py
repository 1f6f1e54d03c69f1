"""Calling a command in this process, and what came of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from django.core.management import CommandError, call_command


@dataclass(frozen=True)
class Said:
    """What a command wrote, and its exit status."""

    out: str
    err: str
    status: int


def call(*arguments: str, **options: Any) -> Said:
    """Calls a command as the shell would: an error is a line on stderr and a status, never a traceback."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    try:
        call_command(*arguments, stdout=out, stderr=err, **options)
    except CommandError as error:
        err.write(f"{error}\n")
        status = error.returncode
    except SystemExit as ended:
        status = int(ended.code or 0)
    return Said(out.getvalue(), err.getvalue(), status)
