"""A connection to PostgreSQL that leads nowhere ends within seconds, at both ends, and takes its locks along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from django.conf import settings

NAMES = (
    "tcp_user_timeout",
    "tcp_keepalives_idle",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "application_name",
)
ASK = f"""
import json, socket
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    found = {{}}
    for name in {NAMES}:
        cursor.execute("SELECT setting FROM pg_settings WHERE name = %s", [name])
        found[name] = cursor.fetchone()[0]
options = connection.get_connection_params()
print(json.dumps(found | {{"here": {{k: v for k, v in options.items() if "keepalives" in k or "timeout" in k}}}}))
"""


def ask(url: str) -> dict[str, Any]:
    """What a process on that database has agreed on with the server."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=os.environ | {"CONVERGE_DATABASE_URL": url},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "more", ["", "?options=-c application_name=mine -c lock_timeout=1s&connect_timeout=7"]
)
def test_both_ends_give_up_within_a_lease_and_the_url_has_the_last_word(postgres_url: str, more: str) -> None:
    base, _, query = postgres_url.partition("?")
    joined = "&".join(filter(None, (query, more.removeprefix("?"))))
    found = ask(f"{base}?{joined}" if joined else base)
    assert found["idle_in_transaction_session_timeout"] == "10000"
    assert found["lock_timeout"] == ("1000" if more else "20000")
    assert found["application_name"] == ("mine" if more else "")
    assert found["here"]["tcp_user_timeout"] == 10_000
    assert found["here"]["keepalives_idle"] == 5
    assert str(found["here"]["connect_timeout"]) == ("7" if more else "3")


def test_a_transaction_that_stands_still_lets_go_of_its_locks(postgres_url: str) -> None:
    """What a runtime that is stopped between two statements of a cycle would do to whoever takes its job over."""
    session = settings_of_a_session("idle_in_transaction_session_timeout=300ms")
    with psycopg.connect(postgres_url, options=session) as stopped, psycopg.connect(postgres_url) as other:
        other.execute("CREATE TABLE held (id int)")
        other.execute("INSERT INTO held VALUES (1)")
        other.commit()
        stopped.execute("UPDATE held SET id = 2")
        other.execute("SET lock_timeout = '10s'")
        other.execute("UPDATE held SET id = 3")
        other.commit()
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            stopped.execute("SELECT 1")
        other.execute("DROP TABLE held")


def settings_of_a_session(more: str) -> str:
    """What settings.py asks of each session, with something said otherwise."""
    from converge_site.settings import POSTGRES_SESSION

    return f"{POSTGRES_SESSION} -c {more}"
