"""`JOB|FILE`: a job's number, or the path of a bundle; and what every command on a record says when it cannot begin."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import CommandError
from django.db import DatabaseError

from runtime.bundle import BundleAltered, BundleError, Record, read_bundle
from runtime.head_log import has_left
from runtime.models import Job
from runtime.record import RecordBroken
from runtime.signing import KeyTrouble, trusted_keys
from runtime.storage_trouble import trouble_in

NOTHING_HOLDS, NO_INPUT, NO_DATABASE = 1, 2, 3


def find_job(text: str) -> Job:
    """The job of that number. Raises CommandError (exit status 2) if there is none."""
    job = (
        Job.objects.select_related("pack", "submitter").filter(pk=int(text)).first()
        if is_number(text)
        else None
    )
    if job is None:
        raise CommandError(f"There is no job {text!r}; give its number.", returncode=NO_INPUT)
    return job


def is_number(text: str) -> bool:
    """Whether the argument names a job: a file of such a name is reached as ./12."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def read_file(text: str) -> Record:
    """The record in the bundle at the path `text`. Raises CommandError: exit status 2, 1 if it was altered."""
    try:
        return read_bundle(Path(text).read_bytes(), text)
    except OSError as error:
        raise CommandError(
            f"{text} is no job and cannot be read: {error.strerror}.", returncode=NO_INPUT
        ) from None
    except BundleAltered as error:
        raise CommandError(f"The record {text} does not hold: {error}.", returncode=NOTHING_HOLDS) from None
    except BundleError as error:
        raise CommandError(f"{error}.", returncode=NO_INPUT) from None


@contextmanager
def database_errors_told() -> Iterator[None]:
    """A database that is out or has no tables yet is a sentence, not a traceback (exit status 3)."""
    try:
        yield
    except DatabaseError as error:
        if (trouble := trouble_in(error)) is not None:
            raise CommandError(trouble.text, returncode=NO_DATABASE) from error
        first = str(error).strip().split("\n")[0]
        hint = "`make run` prepares it, so does `manage.py migrate`."
        raise CommandError(f"The database cannot be used: {first}. {hint}", returncode=NO_DATABASE) from error


@contextmanager
def leaving_told(name: str) -> Iterator[None]:
    """A job that retention takes out while it is read is said to have left (exit status 2), and does not look broken.

    Raises RecordBroken where a part of it is missing otherwise.
    """
    try:
        yield
    except (RecordBroken, ObjectDoesNotExist) as error:
        if is_number(name) and has_left(int(name), trusted_keys()):
            raise CommandError(
                f"Job {name} has left: retention keeps it as a bundle.", returncode=NO_INPUT
            ) from error
        if isinstance(error, ObjectDoesNotExist):
            raise RecordBroken("a part of it is not in the database") from error
        raise


@contextmanager
def key_troubles_told() -> Iterator[None]:
    """A key that cannot be used is a sentence, not a traceback (exit status 2)."""
    try:
        yield
    except KeyTrouble as error:
        raise CommandError(f"{str(error)[:1].upper()}{str(error)[1:]}.", returncode=NO_INPUT) from error


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Output into a pipe whose reader has seen enough (`| head`) just ends."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would complain once more when the process exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
