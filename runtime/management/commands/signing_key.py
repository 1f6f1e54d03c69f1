"""`manage.py signing_key`: the public key with which this installation signs."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandParser

from runtime.management.record_argument import key_troubles_told
from runtime.signing import key_id, own_key, pem_of


class Command(BaseCommand):
    help = (
        "Prints the public key with which this installation signs bundles and heads; makes the key if there is none. "
        "Give it to whoever is to verify them: `verify FILE --key KEY`."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pem", action="store_true", help="as PEM, for other programs")

    def handle(self, *args: Any, **options: Any) -> None:
        with key_troubles_told():
            public = own_key().public
        if options["pem"]:
            self.stdout.write(pem_of(public), ending="")
        else:
            self.stdout.write(f"{public}  # key {key_id(public)}")
