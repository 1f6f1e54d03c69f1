"""`manage.py backup`: the whole installation in one file, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from runtime.backup import BackupError, write_backup
from runtime.management.record_argument import NO_INPUT, NOTHING_HOLDS, key_troubles_told
from runtime.signing import key_id, own_public_key

POSTGRES = (
    "This installation is on PostgreSQL, which has tools of its own. With the address in CONVERGE_DATABASE_URL:\n"
    '    pg_dump --format=custom --file=converge.dump "$CONVERGE_DATABASE_URL"\n'
    "and to put it back into an empty database, with nothing running:\n"
    '    pg_restore --clean --if-exists --no-owner --dbname="$CONVERGE_DATABASE_URL" converge.dump\n'
    "    manage.py migrate, then manage.py verify --all\n"
    "Keep CONVERGE_HOME/newest-head and the signing key's public half (manage.py signing_key) with the dump."
)


class Command(BaseCommand):
    help = (
        "Writes database, newest head and public keys into one file while everything runs, signed and with digests. "
        "Exit status: 0 it is there, whole and safe on the disk; 1 the database is damaged; 2 it cannot be made."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="where to; replaced only by a whole one")
        parser.add_argument(
            "--with-keys",
            action="store_true",
            help="the private signing key and the sessions' secret too; guard such a file as you would them",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if connection.vendor != "sqlite":
            raise CommandError(POSTGRES, returncode=NO_INPUT)
        with key_troubles_told():
            try:
                said = write_backup(path, options["with_keys"])
            except BackupError as error:
                raise CommandError(str(error), returncode=NOTHING_HOLDS) from error
            except OSError as error:
                raise CommandError(
                    f"{path} cannot be written: {error.strerror}.", returncode=NO_INPUT
                ) from None
            except connection.Database.Error as error:  # type: ignore[attr-defined]
                raise CommandError(f"The database cannot be copied: {error}.", returncode=NO_INPUT) from error
            public = own_public_key()
        self.stdout.write(
            f"{path}: {said['jobs']:,} jobs, {said['entries']:,} entries, {path.stat().st_size:,} bytes, signed by key "
            f"{key_id(public)}. In another home: manage.py restore {path.name} --key {public}"
        )
        if options["with_keys"]:
            self.stdout.write("It holds private keys: whoever reads it can sign in this installation's name.")
        else:
            self.stdout.write("It holds no private key; keep CONVERGE_HOME/signing-key elsewhere, once.")
