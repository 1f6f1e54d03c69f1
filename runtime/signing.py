"""Signatures of this installation: Ed25519, so that a stranger can tell who vouches for a record (D6.3).

The private key lies in CONVERGE_HOME/signing-key and is made when first something is signed. Several hosts must sign
with one key: they share a home, or name a file by CONVERGE_SIGNING_KEY_FILE, which is never made here. Public keys are
written as 64 hex digits; a key's id is the first 16 of its SHA-256.

What is signed is one line, canonical JSON, and nothing else will do for it:

    {"key": public key, "said": {...}, "signature": over `purpose`, a line feed and the canonical JSON of `said`}
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings
from django.db import DatabaseError, connection

from runtime.durable import sync_directory
from runtime.models import Head

# Other keys whose signatures count here, one a line: those of before, and of installations one trusts.
TRUSTED_FILE: Final = "trusted-keys"
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_PEM = b"-----BEGIN"
_SORTED = orjson.OPT_SORT_KEYS


class KeyTrouble(Exception):
    """A key cannot be used. The message is for people, without a full stop."""


class BadSignature(Exception):
    """A line is not what its key signed; the message says how, without a full stop."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Something said under a signature that fits its key. Whose key that is, is another question."""

    said: dict[str, Any]
    key: str
    line: bytes


class SigningKey:
    """The private key of this installation. `public` is its public half as hex."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, purpose: str, said: dict[str, Any]) -> bytes:
        """The signed line, without a line feed at its end."""
        signature = self._key.sign(_message(purpose, said)).hex()
        return orjson.dumps({"key": self.public, "said": said, "signature": signature}, option=_SORTED)


def read_signed(purpose: str, line: bytes) -> Signed:
    """What a signed line says. Raises BadSignature unless each byte of it is as it was signed."""
    try:
        data = orjson.loads(line)
        key, said, signature = data["key"], data["said"], data["signature"]
        # Written anew it must be the same bytes: no blank, no second spelling, nothing beside the three.
        if orjson.dumps({"key": key, "said": said, "signature": signature}, option=_SORTED) != line:
            raise BadSignature("the signed line is not written as Converge writes it")
        public = Ed25519PublicKey.from_public_bytes(_unhex(key, 32))
        public.verify(_unhex(signature, 64), _message(purpose, said))
    except InvalidSignature:
        raise BadSignature("the signature does not fit what it is said to sign") from None
    except (ValueError, KeyError, TypeError):
        raise BadSignature("it holds no signature that can be read") from None
    if not isinstance(said, dict):
        raise BadSignature("the signed line says nothing")
    return Signed(said, key, line)


def _message(purpose: str, said: Any) -> bytes:
    """The purpose keeps a head's signature from passing for a bundle's."""
    return purpose.encode() + b"\n" + orjson.dumps(said, option=_SORTED)


def _unhex(text: str, size: int) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != size or data.hex() != text:
        raise ValueError("no lower-case hex of that size")
    return data


def key_id(public: str) -> str:
    """The short name of a public key, for people to compare."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:16]


def own_key() -> SigningKey:
    """This installation's key; made, mode 0600, if there is none and nobody named a file. Raises KeyTrouble.

    None is made beside heads that a key signed which is not trusted here: it lies elsewhere, or was lost.
    """
    path = _key_path()
    if not path.exists():
        if settings.CONVERGE_SIGNING_KEY_FILE is not None:
            raise KeyTrouble(f"CONVERGE_SIGNING_KEY_FILE names {path}, and there is no such file")
        _require_no_other_key(path)
        _make_key(path)
    return _read_key(path)


def _require_no_other_key(path: Path) -> None:
    """A host with a home of its own, or one whose key was deleted, must not begin to sign under a second key."""
    try:
        line = _newest_line()
    except DatabaseError as error:
        raise KeyTrouble(
            f"there is no {path}, and whether another key signs for this database cannot be read: {error}"
        ) from error
    if line is None:
        return
    try:
        before = str(orjson.loads(line)["key"])
        known = before in trusted_keys()
        name = key_id(before)
    except (ValueError, KeyError, TypeError):
        raise KeyTrouble(f"there is no {path}, and the newest head of this database cannot be read") from None
    if not known:
        raise KeyTrouble(
            f"there is no {path}, and the heads of this database are signed by key {name}. Put that key there, or "
            f"name it by CONVERGE_SIGNING_KEY_FILE; if it is lost, write {before} into {path.with_name(TRUSTED_FILE)}, "
            "and another is made"
        )


def _newest_line() -> str | None:
    """The newest head in the database, if it has any; a database that is not there yet is not made by asking."""
    about = connection.settings_dict
    if connection.vendor == "sqlite" and not Path(about["NAME"]).exists():
        return None
    if Head._meta.db_table not in connection.introspection.table_names():
        return None
    return Head.objects.order_by("-number").values_list("line", flat=True).first()


def own_public_key() -> str:
    """The public half of this installation's key, "" if none was made yet. Makes none. Raises KeyTrouble."""
    path = _key_path()
    return _read_key(path).public if path.exists() else ""


def _key_path() -> Path:
    return Path(settings.CONVERGE_SIGNING_KEY_FILE or Path(settings.CONVERGE_HOME) / "signing-key")


def _make_key(path: Path) -> None:
    """Several processes may need it at once: the first to link a whole file into place wins."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(descriptor)  # what it signs outlives a power cut, and so must it
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
        sync_directory(path.parent)  # its name, too; also where another has linked it first
    except OSError as error:
        raise KeyTrouble(f"the signing key {path} cannot be made: {error.strerror}") from error


def _read_key(path: Path) -> SigningKey:
    try:
        pem = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeyTrouble(f"the signing key {path} cannot be read: {error.strerror}") from error
    # Secrets that are mounted into containers often are 0444: who names a file answers for it.
    if mode & 0o077 and settings.CONVERGE_SIGNING_KEY_FILE is None:
        raise KeyTrouble(f"the signing key {path} can be read by other users; run: chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyTrouble(f"{path} holds no private key in PEM that needs no password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyTrouble(f"{path} holds a key of another kind than Ed25519")
    return SigningKey(key)


def trusted_keys() -> frozenset[str]:
    """Public keys whose signatures count here: our own and those of CONVERGE_HOME/trusted-keys. Raises KeyTrouble."""
    path = Path(settings.CONVERGE_HOME) / TRUSTED_FILE
    own = own_public_key()
    return frozenset([own] if own else []) | (_keys_in(path) if path.exists() else frozenset())


def named_keys(names: Iterable[str]) -> frozenset[str]:
    """Public keys as people name them: 64 hex digits, or a file of such lines or of one PEM. Raises KeyTrouble."""
    found: frozenset[str] = frozenset()
    for name in names:
        found |= frozenset([name.lower()]) if _PUBLIC.fullmatch(name.lower()) else _keys_in(Path(name))
    return found


def _keys_in(path: Path) -> frozenset[str]:
    """Each line begins with a key; what follows a blank or a # is for people."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KeyTrouble(f"the keys in {path} cannot be read: {error.strerror}") from error
    if data.startswith(_PEM):
        return frozenset([_public_of_pem(data, path)])
    words = [line.split("#")[0].split() for line in data.decode("utf-8", "replace").lower().splitlines()]
    keys = [line[0] for line in words if line]
    for key in keys:
        if not _PUBLIC.fullmatch(key):
            raise KeyTrouble(f"{path} holds {key[:20]!r} where a public key of 64 hex digits belongs")
    if not keys:
        raise KeyTrouble(f"{path} holds no key")
    return frozenset(keys)


def _public_of_pem(pem: bytes, path: Path) -> str:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyTrouble(f"{path} holds no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyTrouble(f"{path} holds a key of another kind than Ed25519")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def pem_of(public: str) -> str:
    """A public key as PEM, for other programs."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
