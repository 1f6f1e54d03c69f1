"""`manage.py verify`: whether a record holds, and who vouches for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.head_log import check_newest, compare_kept, compare_record, heads_of, read_kept_heads
from runtime.management.record_argument import (
    NO_INPUT,
    NOTHING_HOLDS,
    database_errors_told,
    find_job,
    is_number,
    key_troubles_told,
    leaving_told,
    read_file,
)
from runtime.management.verify_all import verify_all
from runtime.record import Record, RecordBroken
from runtime.signing import KeyTrouble, Signed, key_id, named_keys, own_public_key, trusted_keys
from runtime.verifying import verify_job, verify_record


class Command(BaseCommand):
    help = (
        "Recomputes the chain of digests of a job or a bundle, compares numbers, epochs, summary and signed heads with "
        "it; for a job also everything else its database keeps; for a bundle that each byte is as it was signed. Exit "
        "status: 0 it holds, and is signed by a key of --key if any is given; 1 it does not; 2 there is no such record "
        "or key; 3 the database is out. A bundle by an unknown signer holds or does not like any other: it is said "
        "that anybody may have made and signed it, until you name whom you trust."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "record", metavar="JOB|FILE", nargs="?", help="a job's number, or the path of a bundle"
        )
        parser.add_argument("--all", action="store_true", help="every job, and the log of signed heads")
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY|FILE",
            help="a public key that is trusted, or a file of such; may be repeated (default: this installation's own)",
        )
        parser.add_argument(
            "--heads",
            metavar="FILE",
            help="heads that somebody kept (`manage.py heads`), which must be found again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name: str | None = options["record"]
        if (name is None) != options["all"]:
            raise CommandError("Give a job's number, or the path of a bundle, or --all.", returncode=NO_INPUT)
        try:
            with key_troubles_told():
                if name is None:
                    self._verify_all(options)
                elif is_number(name):
                    self._verify_job(name, options)
                else:
                    self._verify_file(name, options)
        except RecordBroken as error:
            raise CommandError(
                f"The record {name or 'of all jobs'} does not hold: {error}.", returncode=NOTHING_HOLDS
            ) from error

    def _verify_file(self, name: str, options: dict[str, Any]) -> None:
        record = read_file(name)
        trusted = named_keys(options["key"]) or self._own_keys()
        signer = tell_signer(record, trusted, is_asked=bool(options["key"]))
        fold = verify_record(record)
        # A file of an unknown signer may be held against heads of that same signer: one vouches for the other.
        kept = _read_heads(options["heads"], trusted | ({record.seal.key} if record.seal else set()))
        compared = compare_record(record, kept)
        if kept and not compared:
            raise RecordBroken(
                f"none of the {len(kept)} heads in {options['heads']} is of job {record.job['id']}: none vouches for it"
            )
        self.stdout.write(f"The record {name} holds: {fold.cycle:,} cycles, {fold.entries:,} entries.")
        self.stdout.write(signer)
        if kept:
            self.stdout.write(
                f"Of the {len(kept)} heads in {options['heads']}, {compared} are of its job, and it fits them."
            )

    def _own_keys(self) -> frozenset[str]:
        """What the home trusts. A home that cannot be read is no reason not to check a file."""
        try:
            return trusted_keys()
        except (KeyTrouble, OSError) as error:
            self.stderr.write(f"This installation's own keys are left out: {error}.")
            return frozenset()

    def _verify_job(self, name: str, options: dict[str, Any]) -> None:
        trusted = named_keys(options["key"]) or trusted_keys()
        kept = _read_heads(options["heads"], trusted)
        with database_errors_told(), leaving_told(name):
            job = find_job(name)
            fold = verify_job(job, trusted)
            check_newest(trusted)
            compare_kept(kept, str(options["heads"]))
            heads = heads_of(job.pk, trusted)
        self.stdout.write(f"The record {name} holds: {fold.cycle:,} cycles, {fold.entries:,} entries.")
        self.stdout.write(_tell_head(heads, job.cycle))

    def _verify_all(self, options: dict[str, Any]) -> None:
        trusted = named_keys(options["key"]) or trusted_keys()
        kept = _read_heads(options["heads"], trusted)
        with database_errors_told():
            found = verify_all(trusted, kept, str(options["heads"]), self.stderr)
        for fault in found.faults:
            self.stderr.write(fault)
        if found.faults:
            raise RecordBroken(
                f"{len(found.faults):,} faults in {found.jobs:,} jobs and {found.heads:,} signed heads"
            )
        removed = f" {found.removed:,} jobs were taken out, under our signature." if found.removed else ""
        key = own_public_key()
        by = f" by key {key_id(key)}" if key and found.heads else ""
        self.stdout.write(
            f"The records of all {found.jobs:,} jobs hold: {found.entries:,} entries, {found.heads:,} heads "
            f"signed{by}; {found.unsigned:,} jobs are not signed up to their last cycle.{removed}"
        )
        if kept:
            self.stdout.write(f"The log holds the {len(kept)} heads in {options['heads']}.")


def tell_signer(record: Record, trusted: frozenset[str], is_asked: bool) -> str:
    """Who signed a bundle, as a sentence. Raises RecordBroken if it `is_asked` to be one of `trusted`, and is not."""
    seal = record.seal
    if seal is None:
        if is_asked:
            raise RecordBroken("it is not signed")
        return "It is not signed: its digests fit each other, and nobody vouches for them."
    signer = f"key {key_id(seal.key)}"
    told = f"Signed by {signer}, {seal.said['exported_at'][:19]}Z"
    if seal.key in trusted:
        return f"{told}: a key {'you named' if is_asked else 'this installation trusts'}."
    if is_asked:
        raise RecordBroken(f"it is signed by {signer}, which is none of those named")
    return (
        f"{told}, which you have not named as trusted: anybody may have made and signed this file. Ask whoever you "
        f"think it is from for their key (`manage.py signing_key`); if it is this one, name it: --key {seal.key}"
    )


def _read_heads(path: str | None, trusted: frozenset[str]) -> list[Signed]:
    if path is None:
        return []
    try:
        return read_kept_heads(Path(path), trusted)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=NO_INPUT) from None


def _tell_head(heads: list[Signed], cycle: int) -> str:
    if not heads:
        return "None of it is signed yet: the scheduler signs a job once it has settled."
    said, key = heads[-1].said, key_id(heads[-1].key)
    newer = f"; {cycle - said['cycle']} cycles since are not signed yet" if cycle > said["cycle"] else ""
    return f"Signed up to cycle {said['cycle']} by key {key}, {said['at']}: head {said['number']}{newer}."
