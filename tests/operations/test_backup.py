"""A backup is made while everything runs; restored elsewhere it verifies, and its jobs go on to the same digests."""

from __future__ import annotations

import hashlib
import io
import os
import random
import sqlite3
import tarfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from redis import Redis

from runtime import backup
from runtime.heads import sign_all_settled
from runtime.home_lock import hold_home
from runtime.models import Job
from runtime.signing import SigningKey, own_public_key
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, WALK_SEEDS
from tests.runtime.stage import environment, manage, run, start_manage, submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL is backed up by pg_dump"),
]


Restore = Callable[..., backup.Restored]


def jobs_in(database: Path) -> dict[int, tuple[str, str]]:
    """Status and digest of each job."""
    with closing(sqlite3.connect(database)) as read:
        rows = read.execute("SELECT id, status, digest FROM runtime_job").fetchall()
    return {job_id: (status, digest) for job_id, status, digest in rows}


def test_backup_under_load_is_restored_verified_and_goes_on(
    use_packs: Use, installed: Path, workers: Workers, tmp_path: Path, empty_queue: Redis
) -> None:
    use_packs("walk", "echo")
    workers.start(2)
    walks = [submit("walk", WALK_SEEDS)]
    workers.wait_at_gate()
    file = tmp_path / "backup.tar"
    making = start_manage("backup", str(file), env=environment(installed), log=tmp_path / "backup.log")
    while making.poll() is None:  # one worker stands in the middle of a cycle, the other has these
        submit("echo", ECHO_SEEDS)
    assert making.returncode == 0, (tmp_path / "backup.log").read_text()
    workers.open_gate()
    assert eventually(lambda: not Job.objects.exclude(status="converged").exists()), workers.said
    originals = dict(Job.objects.values_list("pk", "digest"))
    workers.stop()
    empty_queue.flushall()

    home = tmp_path / "new-home"
    env = environment(installed, CONVERGE_HOME=str(home), CONVERGE_DATABASE_URL="")
    done = manage("restore", str(file), "--key", own_public_key(), env=env)
    assert done.returncode == 0, done.stderr
    assert b"jobs hold" in done.stdout
    found = jobs_in(home / "converge.sqlite3")
    assert found[walks[0].pk][0] == "queued", "its lease was of another home"
    assert set(found) <= set(originals)

    env["CONVERGE_REDIS_URL"] = str(django_settings.CONVERGE_REDIS_URL)
    assert manage("reconcile", "--once", env=env).returncode == 0
    assert manage("worker", "--burst", env=env).returncode == 0
    now = jobs_in(home / "converge.sqlite3")
    assert now == {job_id: ("converged", originals[job_id]) for job_id in found}
    assert manage("verify", "--all", env=env).returncode == 0


@pytest.fixture
def made(use_packs: Use, tmp_path: Path) -> Path:
    """A backup of an installation with two jobs, one of them signed."""
    use_packs("echo")
    run(submit("echo", ECHO_SEEDS))
    sign_all_settled()
    submit("echo", ECHO_SEEDS)
    file = tmp_path / "backup.tar"
    call_command("backup", str(file))
    return file


@pytest.fixture
def key(made: Path) -> str:
    """The public key of whoever made the backup."""
    return own_public_key()


@pytest.fixture
def elsewhere(key: str, tmp_path: Path, settings: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, in which `restore_backup` is done."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    settings.CONVERGE_HOME = home  # type: ignore[attr-defined]
    monkeypatch.setattr(backup, "database_path", lambda: home / "converge.sqlite3")
    return home


@pytest.fixture
def restore(key: str, elsewhere: Path) -> Restore:
    """Puts a backup back elsewhere, as somebody does who knows whose it is."""

    def put_back(file: Path, replace: bool = False) -> backup.Restored:
        return backup.restore_backup(file, frozenset([key]), replace)

    return put_back


def test_it_holds_public_keys_and_no_private_one(made: Path) -> None:
    with tarfile.open(made) as tar:
        assert tar.getnames() == ["manifest", "converge.sqlite3", "trusted-keys", "newest-head"]
    assert b"PRIVATE KEY" not in made.read_bytes()
    assert made.stat().st_mode & 0o077 == 0
    call_command("backup", str(made), with_keys=True)
    with tarfile.open(made) as tar:
        assert {"signing-key", "secret_key"} <= set(tar.getnames())


def test_restored_home_trusts_the_key_and_holds_the_head(
    made: Path, elsewhere: Path, restore: Restore
) -> None:
    restored = restore(made)
    assert restored.kept is None
    assert restored.key in (elsewhere / "trusted-keys").read_text()
    assert set(os.listdir(elsewhere)) == {"converge.sqlite3", "trusted-keys", "newest-head"}
    assert len(jobs_in(elsewhere / "converge.sqlite3")) == 2


def test_altered_backup_is_refused_and_leaves_nothing(made: Path, elsewhere: Path, restore: Restore) -> None:
    good = made.read_bytes()
    restore(made)
    sound = (elsewhere / "converge.sqlite3").read_bytes()
    refused = 0
    draws = random.Random(5)
    for _ in range(60):
        (elsewhere / "converge.sqlite3").unlink()
        at = draws.randrange(len(good))
        altered = bytearray(good)
        altered[at] ^= 1 << draws.randrange(8)
        made.write_bytes(altered)
        try:
            restore(made)
        except backup.BackupError:
            refused += 1
            assert not (elsewhere / "converge.sqlite3").exists()
            (elsewhere / "converge.sqlite3").write_bytes(sound)
        else:  # what fills the blocks of a tar means nothing
            assert (elsewhere / "converge.sqlite3").read_bytes() == sound
    assert refused > 50
    (elsewhere / "converge.sqlite3").unlink()
    for length in (0, 100, len(good) // 2):
        made.write_bytes(good[:length])
        with pytest.raises(backup.BackupError):
            restore(made)
        assert not (elsewhere / "converge.sqlite3").exists()


def test_home_with_a_database_is_left_alone_unless_told(
    made: Path, elsewhere: Path, restore: Restore
) -> None:
    place = elsewhere / "converge.sqlite3"
    restore(made)
    with closing(sqlite3.connect(place)) as other, other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("UPDATE runtime_job SET title = 'mine'")
        other.commit()
        with pytest.raises(backup.BackupError, match="say --replace"):
            restore(made)
        with pytest.raises(backup.BackupError, match=r"is in use .*Stop what runs on it"):
            restore(made, replace=True)
        assert other.execute("SELECT min(title) FROM runtime_job").fetchone() == ("mine",)
    restored = restore(made, replace=True)
    assert restored.kept is not None
    with closing(sqlite3.connect(restored.kept)) as before:
        assert before.execute("SELECT min(title) FROM runtime_job").fetchone() == ("mine",)
    with closing(sqlite3.connect(place)) as after:
        assert after.execute("SELECT min(title) FROM runtime_job").fetchone() == ("",)


def test_restore_that_is_cut_off_leaves_no_database_and_may_be_repeated(
    made: Path, elsewhere: Path, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, moves = os.replace, 0
    while True:
        moves += 1
        left = moves

        def stumble(*given: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(28, "No space left on device")
            real(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(backup.os, "replace", stumble)
        try:
            restore(made)
        except OSError:
            assert not (elsewhere / "converge.sqlite3").exists()
        else:
            break
    assert moves >= 3, "keys, newest head and database are moved one by one"
    assert len(jobs_in(elsewhere / "converge.sqlite3")) == 2


def test_backup_that_is_cut_off_leaves_the_one_before(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = made.read_bytes()

    def stumble(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.os, "fsync", stumble)
    with pytest.raises(CommandError, match=r"cannot be written: No space left on device"):
        call_command("backup", str(made))
    assert made.read_bytes() == good
    assert [name for name in os.listdir(made.parent) if ".backup" in name] == []


def test_home_that_runs_is_not_restored_into(made: Path, elsewhere: Path) -> None:
    with hold_home(elsewhere, "process 1, somebody"), pytest.raises(CommandError, match="Stop it first"):
        call_command("restore", str(made))


def test_postgres_is_told_what_to_do(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "postgresql")
    for command in ("backup", "restore"):
        with pytest.raises(CommandError, match=r"pg_dump --format=custom[\s\S]*pg_restore"):
            call_command(command, str(made))


def stranger_makes(path: Path, parts: Mapping[str, bytes]) -> str:
    """A backup signed by a key of the stranger's own; gives that key."""
    key = SigningKey(Ed25519PrivateKey.generate())
    members = {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in parts.items()}
    about = {"format": backup.FORMAT, "made_at": "2026-01-01T00:00:00", "jobs": 0, "entries": 0}
    with tarfile.open(path, "w") as tar:
        for name, data in {
            "manifest": key.sign(backup.FORMAT, {**about, "members": members}),
            **parts,
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return key.public


def database_in(made: Path) -> bytes:
    with tarfile.open(made) as tar:
        member = tar.extractfile("converge.sqlite3")
        assert member is not None
        return member.read()


@pytest.mark.parametrize("where", ["outside", "up", "odd"])
def test_no_name_in_a_manifest_becomes_a_file_but_those_of_a_backup(
    made: Path, tmp_path: Path, where: str
) -> None:
    outside, home = tmp_path / "planted", tmp_path / "victim"
    name = {"outside": str(outside), "up": "../../planted", "odd": "authorized_keys"}[where]
    file = tmp_path / "strange.tar"
    key = stranger_makes(file, {"converge.sqlite3": database_in(made), name: b"planted"})
    done = manage("restore", str(file), "--key", key, env=new_home(home))
    assert done.returncode == 2, done.stdout
    assert b"is no part of one" in done.stderr
    assert not outside.exists()
    assert set(os.listdir(home)) == {"secret_key", "up.lock"}


@pytest.mark.parametrize("parts", [{}, {"trusted-keys": b""}, {"secret_key": b"x" * 50}])
def test_backup_without_a_database_is_none(tmp_path: Path, parts: dict[str, bytes]) -> None:
    file, home = tmp_path / "strange.tar", tmp_path / "victim"
    key = stranger_makes(file, parts)
    done = manage("restore", str(file), "--key", key, env=new_home(home))
    assert done.returncode == 2
    assert b"it holds no converge.sqlite3" in done.stderr and b"Traceback" not in done.stderr
    assert not (home / "converge.sqlite3").exists()


def test_backup_by_a_stranger_is_restored_only_if_the_stranger_is_named(made: Path, tmp_path: Path) -> None:
    file, home = tmp_path / "strange.tar", tmp_path / "victim"
    key = stranger_makes(file, {"converge.sqlite3": database_in(made), "trusted-keys": b"ab" * 32})
    for named in ((), ("--key", "cd" * 32)):
        done = manage("restore", str(file), *named, env=new_home(home))
        assert done.returncode == 2
        assert f"--key {key}".encode() in done.stderr
        assert not (home / "trusted-keys").exists() and not (home / "converge.sqlite3").exists()
    manage("restore", str(file), "--key", key, env=new_home(home))
    assert key in (home / "trusted-keys").read_text()


def new_home(home: Path) -> dict[str, str]:
    return environment(CONVERGE_HOME=str(home), CONVERGE_DATABASE_URL="")


def test_private_keys_come_back_to_a_new_home_and_no_other(made: Path, key: str, tmp_path: Path) -> None:
    """Settings make a sessions' secret before the command begins: that one nothing depends on yet."""
    call_command("backup", str(made), with_keys=True)
    old, home = Path(django_settings.CONVERGE_HOME), tmp_path / "new-home"
    done = manage("restore", str(made), "--key", key, env=new_home(home))
    assert done.returncode == 0, done.stderr
    for name in ("secret_key", "signing-key"):
        assert (home / name).read_bytes() == (old / name).read_bytes(), name
        assert (home / name).stat().st_mode & 0o077 == 0
    assert b"Left out" not in done.stdout

    (home / "secret_key").write_text("another" * 10)
    done = manage("restore", str(made), "--replace", env=new_home(home))
    assert done.returncode == 0, done.stderr
    assert b"Left out: the backup's secret_key, for " in done.stdout
    assert b"backup's signing-key" not in done.stdout
    assert (home / "secret_key").read_text() == "another" * 10
