"""CONVERGE_HOME: the one directory that holds what this installation writes.

Read while the settings load, so nothing here may import Django's settings.
"""

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

# The kernel's sun_path holds 108 bytes with the closing zero.
LONGEST_SOCKET_PATH = 107


def checks_a_file(arguments: Sequence[str]) -> bool:
    """Whether this process is `manage.py verify FILE` or `replay FILE`, by its command line."""
    if (
        len(arguments) < 3
        or Path(arguments[0]).name != "manage.py"
        or arguments[1] not in ("verify", "replay")
    ):
        return False
    return not any(word == "--all" or word.isdecimal() for word in arguments[2:])


def open_home(path: Path) -> Path:
    """Returns the home, made readable by its owner alone if it did not exist.

    Raises:
        ImproperlyConfigured: it cannot be created or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"CONVERGE_HOME: cannot create {path} ({error.strerror}).") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ImproperlyConfigured(
            f"CONVERGE_HOME: {path} is not writable by this user. Give it to them (chown), mount its disk writable, or "
            "name another directory."
        )
    return path


def read_secret_key(home: Path) -> str:
    """Returns the key that signs sessions and links; makes one, mode 0600, on first use.

    Several processes may start at once on a new home: each writes a file of its own, and the first to link
    it into place wins, so that all read the same whole key.
    """
    path = home / "secret_key"
    if not path.exists():
        try:
            _make_secret_key(path)
        except OSError as error:
            raise ImproperlyConfigured(
                f"{path} cannot be made: {error.strerror}. Make room there, or name another CONVERGE_HOME."
            ) from error
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ImproperlyConfigured(f"{path} can be read by other users; run: chmod 600 {path}")
    key = path.read_text().strip()
    if len(key) < 40:
        raise ImproperlyConfigured(f"{path} holds no usable key; delete it and a new one is made.")
    return key


def _make_secret_key(path: Path) -> None:
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix="secret_key.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def locate_redis_socket(home: Path) -> Path:
    """Returns where the embedded Redis of this home listens.

    A socket's path has a length limit: a home too deep for it gets a directory of its own in the system's
    temporary directory, named after the home, which must belong to this user.
    """
    socket = home / "redis" / "redis.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return socket
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"converge-{os.getuid()}-{digest}"
    if directory.exists() and directory.stat().st_uid != os.getuid():
        raise ImproperlyConfigured(f"{directory} belongs to another user; choose a shorter CONVERGE_HOME.")
    return directory / "redis.sock"


def socket_url(socket: Path) -> str:
    """Returns the URL that Redis clients take for a unix socket."""
    return f"unix://{quote(str(socket))}"
