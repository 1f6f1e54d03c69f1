"""`manage.py export`: a job's bundle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.bundle import RecordBroken, write_bundle
from runtime.management.record_argument import (
    NO_INPUT,
    NOTHING_HOLDS,
    database_errors_told,
    find_job,
    key_troubles_told,
    leaving_told,
    reader_may_leave,
)


class Command(BaseCommand):
    help = (
        "Writes a job's pack, seeds and journal as one JSON file, signed by this installation. `verify` and `replay` "
        "check it with no database. Exit status: 1 the record does not hold, 2 there is none or no key."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the job's number")
        parser.add_argument("--out", metavar="FILE", help="where to (default: standard output)")
        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="no signature: the way to look at a record that does not hold",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["job"]
        with database_errors_told(), key_troubles_told(), reader_may_leave():
            pieces = write_bundle(find_job(name), sign=not options["unsigned"])
            try:
                with leaving_told(name):
                    self._write(pieces, options["out"])
            except RecordBroken as error:
                hint = "Nothing is signed that does not hold; --unsigned writes it all the same."
                raise CommandError(
                    f"The record {name} does not hold: {error}. {hint}", returncode=NOTHING_HOLDS
                ) from error

    def _write(self, pieces: Iterable[str], out: str | None) -> None:
        if out:
            write_whole(Path(out), pieces)
            return
        for piece in pieces:
            self.stdout.write(piece, ending="")


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Writes a file that is there whole or not at all. Raises CommandError (exit status 2)."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as draft:
            try:
                draft.writelines(pieces)
            except BaseException:
                os.unlink(draft.name)
                raise
        os.replace(draft.name, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=NO_INPUT) from None
