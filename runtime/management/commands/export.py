"""`manage.py export`: a job's bundle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.bundle import write_bundle
from runtime.management.record_argument import NO_INPUT, database_errors_told, find_job, reader_may_leave


class Command(BaseCommand):
    help = "Writes a job's pack, seeds and journal as one JSON file. `verify` and `replay` check it with no database."
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the job's number")
        parser.add_argument("--out", metavar="FILE", help="where to (default: standard output)")

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told(), reader_may_leave():
            pieces = write_bundle(find_job(options["job"]))
            if options["out"]:
                write_whole(Path(options["out"]), pieces)
                return
            for piece in pieces:
                self.stdout.write(piece, ending="")


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Writes a file that is there whole or not at all. Raises CommandError (exit status 2)."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as draft:
            try:
                draft.writelines(pieces)
            except BaseException:
                os.unlink(draft.name)
                raise
        os.replace(draft.name, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=NO_INPUT) from None
