"""What the terminal is told of the logs, and what the home keeps."""

import stat
from pathlib import Path

import pytest
from django.conf import settings

from converge_site.home import locate_redis_socket, open_home, read_secret_key
from runtime import checks, problem_lines
from runtime.home_lock import HomeInUse, hold_home
from runtime.problem_lines import ProblemTail
from runtime.supervise import describe_end


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_problems_are_shown_and_the_rest_is_not(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    append(log, "2026-01-02 03:04:05,678 ERROR old: before we looked\n")
    tail = ProblemTail("web", log)
    append(log, "2026-01-02 03:04:05,678 INFO daphne: fine\n2026-01-02 03:04:06,678 ERROR runtime: bad\n")
    append(log, "Traceback (most recent call last):\n  File x\n    raise\nValueError: no\nplain\n")
    assert tail.read() == ["web: ERROR runtime: bad", "web: ValueError: no"]
    assert tail.read() == []


def test_line_written_in_two_pieces_is_shown_once_and_whole(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = ProblemTail("web", log)
    append(log, "2026-01-02 03:04:05,678 WARNING run")
    assert tail.read() == []
    append(log, "time: late\n")
    assert tail.read() == ["web: WARNING runtime: late"]


def test_flood_of_problems_is_cut_short(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = ProblemTail("web", log)
    append(log, "2026-01-02 03:04:05,678 ERROR a: b\n" * 100)
    shown = tail.read()
    assert len(shown) == problem_lines.SHOWN_PER_SPAN + 1
    assert shown[-1] == f"web: more of this is in {log}"
    append(log, "2026-01-02 03:04:05,678 ERROR a: b\n")
    assert tail.read() == []


def test_log_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem_lines, "LARGEST_LOG_BYTES", 1000)
    log = tmp_path / "web.log"
    tail = ProblemTail("web", log)
    append(log, "x" * 2000 + "\n")
    tail.read()
    assert log.stat().st_size == 0
    assert (tmp_path / "web.log.1").stat().st_size == 2001
    append(log, "2026-01-02 03:04:05,678 ERROR a: b\n")
    assert tail.read() == ["web: ERROR a: b"]


def test_home_is_held_by_one(tmp_path: Path) -> None:
    with hold_home(tmp_path, "process 1"):
        with pytest.raises(HomeInUse) as refusal, hold_home(tmp_path, "process 2"):
            pass
        assert refusal.value.holder == "process 1"
    with hold_home(tmp_path, "process 3"):
        pass


def test_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    key = read_secret_key(home)
    assert len(key) >= 50
    assert read_secret_key(home) == key
    assert stat.S_IMODE((home / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret_key"]


def test_socket_of_a_deep_home_stays_within_the_kernels_limit(tmp_path: Path) -> None:
    assert locate_redis_socket(tmp_path) == tmp_path / "redis" / "redis.sock"
    deep = tmp_path / ("d" * 120)
    assert len(str(locate_redis_socket(deep))) < 108
    assert (
        locate_redis_socket(deep) == locate_redis_socket(deep) != locate_redis_socket(tmp_path / ("e" * 120))
    )


def test_ends_are_told_in_words() -> None:
    assert describe_end(-9) == "killed by SIGKILL"
    assert describe_end(3) == "exit status 3"


def test_sqlite_is_sound_and_durable(db: None) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("not on SQLite")
    assert connection.Database.sqlite_version_info >= (3, 51, 3)  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        modes = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]
    assert settings.DATABASES["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_sqlite_that_corrupts_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        pytest.skip("not on SQLite")
    assert checks.check_sqlite_version(None) == []
    monkeypatch.setattr(checks, "FIRST_SOUND_SQLITE", (99, 0, 0))
    (error,) = checks.check_sqlite_version(None)
    assert error.id == "converge.E001"
    assert "pip install pysqlite3" in str(error.hint)
