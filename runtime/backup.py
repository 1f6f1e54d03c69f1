"""A backup of an installation on SQLite: one file, made while everything runs, whole or not there at all.

The file is a tar with these members, the first of which vouches for the others:

    manifest          one signed line: format, made_at, by, jobs, entries, members {name: {bytes, sha256}}
    converge.sqlite3  the database as of one moment: SQLite's own online backup, which waits for nobody and whom nobody
                      waits for
    newest-head       the newest head of that very database
    trusted-keys      public keys whose signatures counted: the installation's own and those it trusted
    signing-key, secret_key   only if asked for: whoever has them can sign in our name
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from runtime.durable import sync_directory
from runtime.head_log import NEWEST_FILE
from runtime.signing import (
    TRUSTED_FILE,
    BadSignature,
    Signed,
    own_key,
    read_signed,
    trusted_keys,
)

FORMAT: Final = "converge-backup/1"
MANIFEST: Final = "manifest"
DATABASE: Final = "converge.sqlite3"
SIGNING_KEY: Final = "signing-key"
SECRET_KEY: Final = "secret_key"
KEYS: Final = (SIGNING_KEY, SECRET_KEY)
# A member's name becomes the name of a file, and whoever has a key of his own can sign a manifest with any in it.
MEMBERS: Final = frozenset({DATABASE, NEWEST_FILE, TRUSTED_FILE, *KEYS})
MAX_MANIFEST = 1024 * 1024
CHUNK = 1024 * 1024
BUSY_SECONDS = 2.0


class BackupError(Exception):
    """A backup cannot be made, read or put back. The message is for people, with a full stop."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. `kept` is where the database that was there before lies now, None if there was none.

    `left_out` names the private keys of the backup that were not taken, for the home has others.
    """

    said: Mapping[str, Any]
    key: str
    kept: Path | None
    left_out: tuple[str, ...]


# -- making one --------------------------------------------------------------------------------------------------------


def write_backup(path: Path, with_keys: bool = False) -> Mapping[str, Any]:
    """Makes a backup at `path`; gives what its manifest says. Raises BackupError, KeyTrouble, OSError."""
    key = own_key()
    with (
        _draft_beside(path) as draft,
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup.") as room,
    ):
        copy = Path(room) / DATABASE
        counts, newest = _copy_database(copy)
        keys = "".join(f"{public}\n" for public in sorted(trusted_keys() | {key.public}))
        small = {TRUSTED_FILE: keys.encode()}
        if newest:
            small[NEWEST_FILE] = newest
        if with_keys:
            small |= _private_keys()
        members = {DATABASE: {"bytes": copy.stat().st_size, "sha256": _sha256_of(copy)}}
        members |= {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in small.items()}
        said = {"format": FORMAT, "made_at": timezone.now().isoformat(), "members": members, **counts}
        with tarfile.open(fileobj=draft, mode="w") as tar:
            _add(tar, MANIFEST, key.sign(FORMAT, said))
            tar.add(copy, DATABASE, filter=_plain)
            for name, data in small.items():
                _add(tar, name, data)
    return said


def _copy_database(copy: Path) -> tuple[dict[str, int], bytes]:
    """The database as of one moment, checked; its counts, and the newest head in it."""
    with _reading(database_path()) as original, closing(sqlite3.connect(copy)) as target:
        original.backup(target)  # in one step: by parts, each commit of a worker would begin it anew
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        _require_sound(target)
        counts = {
            "jobs": target.execute("SELECT count(*) FROM runtime_job").fetchone()[0],
            "entries": target.execute("SELECT count(*) FROM runtime_entry").fetchone()[0],
        }
        head = target.execute("SELECT line FROM runtime_head ORDER BY number DESC LIMIT 1").fetchone()
    return counts, f"{head[0]}\n".encode() if head else b""


def database_path() -> Path:
    """SQLite's file."""
    return Path(connection.settings_dict["NAME"])


def _reading(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20))


def _require_sound(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupError(f"The database is damaged, and so would be its backup: {found}.")


def _private_keys() -> dict[str, bytes]:
    named = settings.CONVERGE_SIGNING_KEY_FILE
    paths = {name: Path(settings.CONVERGE_HOME) / name for name in KEYS}
    if named is not None:
        paths[KEYS[0]] = Path(named)
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's name or number is given away with the file."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _draft_beside(path: Path) -> Iterator[IO[bytes]]:
    """A file, mode 0600, that takes the place of `path` once it is written and safe on the disk; or never."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as draft:
            yield draft
            draft.flush()
            os.fsync(draft.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    sync_directory(path.parent)


# -- putting one back --------------------------------------------------------------------------------------------------


def restore_backup(path: Path, named: frozenset[str] = frozenset(), replace: bool = False) -> Restored:
    """Puts a backup in the place of this installation's database. The home must be held (`runtime.home_lock`).

    It must be signed by a key that is trusted here or is one of `named`, for its keys are trusted from then on.

    The database comes last and in one move: killed before, the home holds the one it held, if any. Then call it again,
    for keys and the newest head may be those of the backup already. Raises BackupError, KeyTrouble, OSError.
    """
    place = database_path()
    home = Path(settings.CONVERGE_HOME)
    occupied = _is_occupied(place)
    if occupied and not replace:
        raise BackupError(
            f"{place} holds a database. Set CONVERGE_HOME to an empty directory, or say --replace: what is there is "
            "then kept beside it."
        )
    if occupied:
        _require_unused(place)
    for left in place.parent.glob(".restore.*"):  # by one that was killed: the home is ours alone
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".restore.") as room:
        seal = _unpack(path, Path(room), trusted_keys() | named)
        _make_ready(Path(room) / DATABASE)
        left_out = _place_keys(Path(room), home, is_new=not occupied)
        _place_small_files(Path(room), home, seal)
        kept = _keep(place) if occupied else None
        for leftover in (f"{place}-wal", f"{place}-shm"):  # of a database that is not there any more
            Path(leftover).unlink(missing_ok=True)
        os.replace(Path(room) / DATABASE, place)
        sync_directory(place.parent)
    return Restored(seal.said, seal.key, kept, left_out)


def _is_occupied(place: Path) -> bool:
    if not place.exists() or place.stat().st_size == 0:
        return False
    try:
        with _reading(place) as database:
            return bool(database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.Error:
        return True  # whatever it is, it is somebody's


def _require_unused(place: Path) -> None:
    """SQLite leaves its WAL mode only if nobody else has the file open; with that, its log is in the file too."""
    try:
        with closing(sqlite3.connect(place, timeout=BUSY_SECONDS)) as database:
            mode = database.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        mode = str(error)
    except sqlite3.DatabaseError:
        return  # no database at all: nobody has it open as one
    if mode != "delete":
        raise BackupError(
            f"{place} is in use ({mode}). Stop what runs on it: web, workers, scheduler, open shells."
        )


def _keep(place: Path) -> Path:
    kept = place.with_name(f"{place.name}.before-{timezone.now():%Y%m%dT%H%M%S%f}")
    os.link(place, kept)  # not moved: until the new one takes its place, the old one is there
    return kept


def read_manifest(path: Path) -> Signed:
    """What a backup says of itself, and by which key. Raises BackupError, OSError."""
    with _opened(path) as tar:
        return _read_manifest(tar, path)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except tarfile.TarError as error:
        raise BackupError(f"{path} is no backup, or not a whole one: {error}.") from error


def _read_manifest(tar: tarfile.TarFile, path: Path) -> Signed:
    first = tar.next()
    if first is None or first.name != MANIFEST or first.size > MAX_MANIFEST:
        raise BackupError(f"{path} is no backup of Converge: it does not begin with its manifest.")
    file = tar.extractfile(first)
    try:
        seal = read_signed(FORMAT, file.read() if file else b"")
    except BadSignature as error:
        raise BackupError(f"{path} was altered: its manifest is not what was signed ({error}).") from None
    _require_manifest(seal.said, path)
    return seal


def _require_manifest(said: dict[str, Any], path: Path) -> None:
    """That a signature fits says nothing of what is signed: anybody can sign anything."""
    members = said.get("members")
    counts = (said.get("jobs"), said.get("entries"))
    if (
        said.get("format") != FORMAT
        or not isinstance(members, dict)
        or not isinstance(said.get("made_at"), str)
        or not all(type(count) is int for count in counts)
    ):
        raise BackupError(f"{path} is no backup of Converge: its manifest lacks a part.")
    if odd := sorted(members.keys() - MEMBERS):
        raise BackupError(f"{path} is no backup of Converge: {odd[0]!r} is no part of one.")
    if DATABASE not in members:
        raise BackupError(f"{path} is no backup of Converge: it holds no {DATABASE}.")


def _unpack(path: Path, room: Path, trusted: frozenset[str]) -> Signed:
    """Writes the members into `room`, each compared with the manifest, once its key was found to be trusted."""
    with _opened(path) as tar:
        seal = _read_manifest(tar, path)
        if seal.key not in trusted:
            raise BackupError(
                f"{path} is signed by a key that is not trusted here, and with it the backup's own list of keys would "
                "be. Ask whoever made it for their key (`manage.py signing_key`, and `backup` says it); if it is this "
                f"one, name it: --key {seal.key}"
            )
        members: dict[str, Any] = dict(seal.said["members"])
        while (info := tar.next()) is not None:
            expected = members.pop(info.name, None)
            file = tar.extractfile(info) if info.isreg() and not info.issparse() else None
            if expected is None or file is None:
                raise BackupError(f"{path} was altered: {info.name!r} is not in its manifest.")
            if _write_out(file, room / info.name) != expected:
                raise BackupError(f"{path} was altered: {info.name} is not what its manifest says.")
    if members:
        raise BackupError(f"{path} is not whole: {sorted(members)[0]} is missing.")
    return seal


def _write_out(file: IO[bytes], target: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def _make_ready(copy: Path) -> None:
    """Checks it, refuses one of a newer version, and gives back all leases: whoever had them is not of this home."""
    with closing(sqlite3.connect(copy)) as database:
        _require_sound(database)
        known = {(app, name) for app, name in MigrationLoader(None).disk_migrations}
        newer = sorted(
            name
            for app, name in database.execute("SELECT app, name FROM django_migrations")
            if app == "runtime" and (app, name) not in known
        )
        if newer:
            raise BackupError(f"The backup is of a newer version of Converge: this one lacks {newer[0]}.")
        with database:
            database.execute("UPDATE runtime_job SET status = 'queued' WHERE status = 'running'")
            database.execute("UPDATE runtime_job SET lease_until = NULL")
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _place_keys(room: Path, home: Path, is_new: bool) -> tuple[str, ...]:
    """Puts the backup's private keys where the home has none; gives the names of those it has others for.

    The sessions' secret is made wherever settings load, so a home without a database has one that nothing depends on.
    """
    left_out = []
    for name in KEYS:
        source, target = room / name, home / name
        if not source.exists():
            continue
        if not target.exists() or (is_new and name == SECRET_KEY):
            os.replace(source, target)
        elif source.read_bytes().strip() != target.read_bytes().strip():
            left_out.append(name)
    sync_directory(home)
    return tuple(left_out)


def _place_small_files(room: Path, home: Path, seal: Signed) -> None:
    """Trust first, then the head that belongs to the database. What the home trusted already, it goes on to trust."""
    if missing := sorted((_lines(room / TRUSTED_FILE) | {seal.key}) - trusted_keys()):
        path = home / TRUSTED_FILE
        before = path.read_bytes().rstrip(b"\n") + b"\n" if path.exists() else b""
        with _draft_beside(path) as draft:
            draft.write(before + "".join(f"{public}\n" for public in missing).encode())
    if (room / NEWEST_FILE).exists():
        os.replace(room / NEWEST_FILE, home / NEWEST_FILE)
    else:
        (home / NEWEST_FILE).unlink(missing_ok=True)
    sync_directory(home)


def _lines(path: Path) -> set[str]:
    return set(path.read_text().split()) if path.exists() else set()
