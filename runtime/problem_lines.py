"""Picks from a growing log what a person at the terminal should see."""

import re
import time
from pathlib import Path

# The format of settings.LOGGING: date, time, level, logger, message.
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +(DEBUG|INFO|WARNING|ERROR|CRITICAL) +(.*)$")
_SHOWN_LEVELS = ("WARNING", "ERROR", "CRITICAL")

LARGEST_LOG_BYTES = 20 * 1024 * 1024
LARGEST_READ_BYTES = 256 * 1024
# A child in trouble may write thousands of lines; the terminal gets the first few of each span.
SHOWN_PER_SPAN = 5
SPAN_SECONDS = 10.0


class ProblemTail:
    """Reads one log as it grows. Lines become `name: LEVEL logger: message`; a traceback, its last line."""

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        self._rest = b""
        self._in_traceback = False
        self._span_began = 0.0
        self._shown = 0

    def read(self) -> list[str]:
        """Returns what is new and worth showing since the last call, and keeps the file within bounds."""
        try:
            size = self._log.stat().st_size
        except OSError:
            return []
        if size < self._offset:
            self._offset, self._rest = 0, b""
        if size == self._offset:
            return []
        with self._log.open("rb") as file:
            file.seek(self._offset)
            data = file.read(LARGEST_READ_BYTES)
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        shown = [text for line in lines if (text := self._pick(line.decode("utf-8", "replace")))]
        self._cut()
        return self._limit(shown)

    def _pick(self, line: str) -> str | None:
        logged = _LOGGED.match(line)
        if logged:
            self._in_traceback = False
            return f"{self._name}: {logged[1]} {logged[2]}" if logged[1] in _SHOWN_LEVELS else None
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
            return None
        if self._in_traceback and line and not line[0].isspace():
            self._in_traceback = False
            return f"{self._name}: {line}"
        return None

    def _limit(self, lines: list[str]) -> list[str]:
        now = time.monotonic()
        if now - self._span_began > SPAN_SECONDS:
            self._span_began, self._shown = now, 0
        room = max(SHOWN_PER_SPAN - self._shown, 0)
        just_full = 0 < room < len(lines)
        self._shown += len(lines)
        return lines[:room] + ([f"{self._name}: more of this is in {self._log}"] if just_full else [])

    def _cut(self) -> None:
        """Keeps the last full file as `.1`. The child goes on appending to the same, now empty, file."""
        if self._offset <= LARGEST_LOG_BYTES:
            return
        self._log.with_suffix(".log.1").write_bytes(self._log.read_bytes())
        with self._log.open("r+b") as file:
            file.truncate(0)
        self._offset, self._rest = 0, b""
