"""`manage.py sign_in_link`: a way in for the local admin, for whoever may run commands here."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from converge_site.sign_in import admin_has_password, make_token, prepare_local_admin


class Command(BaseCommand):
    help = "Prints a link that signs the local admin in, once, within the hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default="admin", help="whose link (default admin; made if absent)")
        parser.add_argument(
            "--base-url", default=None, help="where the site is (default: this installation's)"
        )
        parser.add_argument(
            "--if-needed", action="store_true", help="print nothing if some admin has a password already"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["if_needed"] and admin_has_password():
            return
        user = prepare_local_admin(options["user"])
        base = options["base_url"] or next(
            iter(settings.CONVERGE_ORIGINS), f"http://127.0.0.1:{settings.CONVERGE_PORT}"
        )
        self.stdout.write(f"{base.rstrip('/')}/sign-in/{make_token(user)}/")
