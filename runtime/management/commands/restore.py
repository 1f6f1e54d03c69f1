"""`manage.py restore`: a backup in the place of an empty home, and every record in it verified."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from runtime.backup import BackupError, restore_backup
from runtime.home_lock import HomeInUse, hold_home
from runtime.management.commands.backup import POSTGRES
from runtime.management.record_argument import NO_INPUT, key_troubles_told
from runtime.signing import key_id, named_keys


class Command(BaseCommand):
    help = (
        "Puts a backup into an empty CONVERGE_HOME, prepares the database and verifies every record. Jobs that ran go "
        "on once it is started. Exit status: 0 it is there and holds; 1 it is there and does not hold; 2 nothing was "
        "changed."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="what `manage.py backup` wrote")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="take the place of a database that nobody uses; it is kept beside the new one",
        )
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY|FILE",
            help="the public key of whoever made the backup, or a file of such; may be repeated (needed unless this "
            "installation trusts it already)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(POSTGRES, returncode=NO_INPUT)
        home: Path = settings.CONVERGE_HOME
        try:
            with hold_home(home, f"process {os.getpid()}, restoring"):
                self._restore(options["file"], options["key"], options["replace"])
        except HomeInUse as error:
            raise CommandError(
                f"Converge runs on {home} ({error.holder}). Stop it first, or set CONVERGE_HOME to an empty directory.",
                returncode=NO_INPUT,
            ) from error

    def _restore(self, path: Path, keys: list[str], replace: bool) -> None:
        connections.close_all()
        with key_troubles_told():
            try:
                restored = restore_backup(path, named_keys(keys), replace)
            except BackupError as error:
                raise CommandError(str(error), returncode=NO_INPUT) from error
            except OSError as error:
                name = error.filename or path
                raise CommandError(f"{name}: {error.strerror}.", returncode=NO_INPUT) from None
        said = restored.said
        self.stdout.write(
            f"Restored {said['jobs']:,} jobs, {said['entries']:,} entries, as of {said['made_at'][:19]}Z. The backup "
            f"is signed by key {key_id(restored.key)}, which is trusted here from now on."
        )
        if restored.kept is not None:
            self.stdout.write(f"What was there before is {restored.kept}.")
        for name in restored.left_out:
            self.stdout.write(f"Left out: the backup's {name}, for {settings.CONVERGE_HOME} has another.")
        call_command("migrate", interactive=False, verbosity=0)
        call_command("verify", all=True, stdout=self.stdout, stderr=self.stderr)
