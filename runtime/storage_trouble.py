"""When nothing can be written: which disk or database it is, and the way out, in words.

A full disk is not the fault of the job that met it, nor of the page that was asked for: it is told as what it is.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection

FULL: Final = "full"
READ_ONLY: Final = "read-only"
BROKEN: Final = "broken"
# What is raised where the database is away, or has cut somebody off. PostgreSQL calls it an internal error when it ends
# a transaction that stood still.
DATABASE_AWAY: Final = (OperationalError, InterfaceError, InternalError)
PROBE_BYTES = 64 * 1024  # some pages and their log: what a small cycle takes

_SQLITE_SAYS = (
    ("database or disk is full", FULL),
    ("readonly database", READ_ONLY),
    ("unable to open database file", READ_ONLY),
    ("disk i/o error", BROKEN),
)
_POSTGRES_SAYS = {"53100": FULL, "25006": READ_ONLY, "58030": BROKEN}
_SYSTEM_SAYS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT), READ_ONLY),
    errno.EIO: BROKEN,
}
# For anybody who asks: without a path.
_CAUSES = {
    FULL: "the disk is full",
    READ_ONLY: "it cannot be written",
    BROKEN: "the disk refuses to write",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing can be written at `place`, a path or a name."""

    kind: str
    place: str

    @property
    def cause(self) -> str:
        """A few words without the place, for anybody."""
        return _CAUSES[self.kind]

    @property
    def text(self) -> str:
        """What is wrong, where, and the way out; for who runs this."""
        if self.kind == FULL:
            return (
                f"The disk of {self.place} is full (or a quota is). Free some space there. Nothing that was recorded "
                "is lost, and jobs go on by themselves within seconds."
            )
        if self.kind == READ_ONLY:
            return (
                f"{self.place} cannot be written. Let this user (number {os.getuid()}) write it and the directory it "
                "is in: `ls -ld` shows whose they are; a disk mounted read-only needs `mount -o remount,rw`, and a "
                "database server that is a standby gives way to its primary."
            )
        return (
            f"The disk of {self.place} refuses to write. Look at the system's log (`dmesg`) for errors of the disk, "
            "and at limits on the size of files (`ulimit -f`). Nothing that was recorded is lost."
        )


def trouble_in(error: BaseException | None) -> Trouble | None:
    """The trouble with storage that an error tells of, itself or by its cause; None if it is about something else."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return Trouble(_SYSTEM_SAYS[one.errno], str(one.filename or settings.CONVERGE_HOME))
        kind = _POSTGRES_SAYS.get(getattr(one, "sqlstate", None) or "")
        if kind is None and isinstance(one, DatabaseError):
            said = str(one).lower()
            kind = next((kind for words, kind in _SQLITE_SAYS if words in said), None)
        if kind is not None:
            return Trouble(kind, place_of_database())
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def place_of_database() -> str:
    """Where the database is: the path of SQLite's file, or whose server it is. Never an address with a password."""
    if connection.vendor == "sqlite":
        return f"the database {connection.settings_dict['NAME']}"
    return "the PostgreSQL server named by CONVERGE_DATABASE_URL"


def directories_written() -> list[Path]:
    """The directories of this machine that must take what is written."""
    home = Path(settings.CONVERGE_HOME)
    if connection.vendor != "sqlite":
        return [home]
    return list(dict.fromkeys((Path(connection.settings_dict["NAME"]).parent, home)))


def probe_storage() -> Trouble | None:
    """Writes a little where the database and the home are; what keeps it from being written, or None."""
    for directory in directories_written():
        try:
            with tempfile.TemporaryFile(dir=directory, prefix=".probe.") as file:
                file.write(b"\1" * PROBE_BYTES)
                file.flush()
        except OSError as error:
            return Trouble(_SYSTEM_SAYS.get(error.errno or 0, BROKEN), str(directory))
    return unwritable_database()


def unwritable_database() -> Trouble | None:
    """SQLite's file, if it is there and this user may not write it."""
    if connection.vendor != "sqlite":
        return None
    name: Any = connection.settings_dict["NAME"]
    if os.path.exists(name) and not os.access(name, os.R_OK | os.W_OK):
        return Trouble(READ_ONLY, place_of_database())
    return None
