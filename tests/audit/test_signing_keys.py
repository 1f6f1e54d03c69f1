"""The key of an installation: made once, whole, for its owner alone; and who is trusted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.db import DatabaseError, connections

from runtime import durable, signing
from runtime.models import Head
from runtime.signing import (
    BadSignature,
    KeyTrouble,
    key_id,
    named_keys,
    own_key,
    own_public_key,
    pem_of,
    read_signed,
    trusted_keys,
)
from tests.commands.said import call
from tests.runtime.stage import MANAGE

pytestmark = pytest.mark.django_db
SAID = {"job": 12, "digest": "ab"}


def test_a_key_is_made_on_first_need_for_its_owner_alone(home: Path) -> None:
    assert own_public_key() == ""
    assert list(home.iterdir()) == []
    public = own_key().public
    assert [path.name for path in home.iterdir()] == ["signing-key"]
    assert stat.S_IMODE((home / "signing-key").stat().st_mode) == 0o600
    assert own_key().public == own_public_key() == public
    assert trusted_keys() == {public}


def test_processes_that_need_it_at_once_get_the_same_key(home: Path) -> None:
    env = {**os.environ, "CONVERGE_HOME": str(home)}
    command = [sys.executable, MANAGE, "signing_key"]
    racers = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {racer.communicate(timeout=60)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 3
    public = own_key().public
    assert said == {f"{public}  # key {key_id(public)}\n"}
    assert {path.name for path in home.iterdir()} == {"signing-key", "secret_key"}


def test_many_threads_of_makers_leave_one_key(home: Path) -> None:

    def make(_: int) -> str:
        try:
            return own_key().public
        finally:
            connections.close_all()  # that of this thread

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(make, range(16)))
    assert len(made) == 1
    assert [path.name for path in home.iterdir()] == ["signing-key"]


@pytest.mark.parametrize("change", ["key", "said", "signature"])
def test_a_line_is_what_its_key_signed(home: Path, change: str) -> None:
    line = own_key().sign("purpose", SAID)
    assert read_signed("purpose", line).said == SAID
    (home / "signing-key").unlink()
    other = own_key().sign("purpose", {**SAID, "job": 13})
    part = {"key": (9, 73), "said": (line.index(b"12"), line.index(b"12") + 2), "signature": (-130, -2)}[
        change
    ]
    forged = line[: part[0]] + other[part[0] : part[1]] + line[part[1] :]
    assert forged != line
    with pytest.raises(BadSignature, match="does not fit"):
        read_signed("purpose", forged)


def test_what_is_signed_as_a_head_is_no_bundle(home: Path) -> None:
    line = own_key().sign("converge-head/1", SAID)
    with pytest.raises(BadSignature, match="does not fit"):
        read_signed("converge-bundle/2", line)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b"3", b'{"key":"","said":{},"signature":""}', b"\xff", b"[" * 2000]
)
def test_what_is_no_signed_line_is_said(line: bytes) -> None:
    with pytest.raises(BadSignature):
        read_signed("purpose", line)


def test_another_spelling_of_a_signature_is_none(home: Path) -> None:
    line = own_key().sign("purpose", SAID)
    for other in (
        line + b" ",
        b" " + line,
        line.replace(b":", b": ", 1),
        line.upper(),
        line[:-1] + b',"x":1}',
    ):
        with pytest.raises(BadSignature):
            read_signed("purpose", other)


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    own_key()
    (home / "signing-key").chmod(0o640)
    with pytest.raises(KeyTrouble, match=r"can be read by other users; run: chmod 600 "):
        own_key()


def test_a_file_that_holds_no_key_is_said(home: Path) -> None:
    path = home / "signing-key"
    path.touch(mode=0o600)
    with pytest.raises(KeyTrouble, match="holds no private key in PEM"):
        own_key()
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyTrouble, match="of another kind than Ed25519"):
        own_key()


def test_a_home_that_takes_no_key_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONVERGE_HOME", home / "gone")
    with pytest.raises(KeyTrouble, match="cannot be made: No such file or directory"):
        own_key()


def test_hosts_that_share_a_named_key_sign_alike(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = own_key().public
    named = home / "shared.pem"
    monkeypatch.setattr(settings, "CONVERGE_SIGNING_KEY_FILE", named)
    with pytest.raises(KeyTrouble, match="and there is no such file"):
        own_key()  # a key of this host alone is what nobody wants
    assert not named.exists()
    (home / "signing-key").rename(named)
    named.chmod(0o444)  # as secrets are mounted
    assert own_key().public == public


def test_trusted_keys_are_our_own_and_those_listed(home: Path) -> None:
    own = own_key().public
    (home / "trusted-keys").write_text(f"# of before\n{'AB' * 32}  the old one\n\n{'cd' * 32}# ours too\n")
    assert trusted_keys() == {own, "ab" * 32, "cd" * 32}
    (home / "trusted-keys").write_text("nonsense\n")
    with pytest.raises(KeyTrouble, match="holds 'nonsense' where a public key of 64 hex digits belongs"):
        trusted_keys()


def test_keys_are_named_by_text_by_file_or_by_pem(home: Path) -> None:
    own = own_key().public
    (home / "one.pem").write_text(pem_of(own))
    (home / "list").write_text(call("signing_key").out)
    for name in (own, own.upper(), str(home / "one.pem"), str(home / "list")):
        assert named_keys([name]) == {own}
    (home / "empty").write_text("\n")
    for name, said in ((str(home / "empty"), "holds no key"), ("ab12", "cannot be read: No such file")):
        with pytest.raises(KeyTrouble, match=said):
            named_keys([name])


def test_the_command_prints_the_public_key_alone(home: Path) -> None:
    said = call("signing_key")
    public = own_key().public
    assert said.out == f"{public}  # key {key_id(public)}\n"
    assert call("signing_key", "--pem").out == pem_of(public)
    assert "PRIVATE" not in said.out
    (home / "signing-key").chmod(0o644)
    refused = call("signing_key")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("The signing key ")


def test_no_second_key_is_made_beside_heads_of_another(home: Path) -> None:
    """A host with a home of its own would sign on under a key that nobody knows."""
    first = own_key()
    Head.objects.create(number=1, job_id=1, cycle=1, line=first.sign("converge-head/1", {}).decode())
    (home / "signing-key").rename(home / "elsewhere")
    refused = call("signing_key")
    assert (refused.status, refused.out) == (2, "")
    assert (
        f"the heads of this database are signed by key {key_id(first.public)}. Put that key there"
        in refused.err
    )
    assert not (home / "signing-key").exists()
    (home / "trusted-keys").write_text(first.public)  # it is lost, and was ours
    assert own_key().public != first.public


def test_no_key_is_made_while_the_database_cannot_be_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out() -> None:
        raise DatabaseError("no answer")

    monkeypatch.setattr(signing, "_newest_line", out)
    with pytest.raises(KeyTrouble, match="cannot be read: no answer"):
        own_key()
    assert list(home.iterdir()) == []


def test_the_name_of_a_new_key_is_safe_before_anything_is_signed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = durable.os.fsync, []

    def fsync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), (home / "signing-key").exists()))
        real(descriptor)

    monkeypatch.setattr(durable.os, "fsync", fsync)
    own_key()
    assert synced[-1] == (str(home), True), "the directory, after the key has its name"
