"""`manage.py sync_packs`: packs in code become rows, without overwriting what an admin changed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from runtime.actions.sync_packs import sync_packs


class Command(BaseCommand):
    help = "Writes the packs that code declares to the database, and says what it did and what it left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        report = sync_packs()
        for line in report.lines():
            problem = line.startswith("problem")
            (self.stderr if problem else self.stdout).write(self.style.WARNING(line) if problem else line)
        if not report.lines() and options["verbosity"] > 1:
            self.stdout.write("Packs are as the code says.")
