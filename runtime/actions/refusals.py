"""Why an action did nothing, in words a person can act on."""

from __future__ import annotations

from runtime.agents import Problem


class Refused(Exception):
    """An action that did nothing. `code`: forbidden, stale, invalid, or gone; `field` is the form field at fault."""

    def __init__(self, message: str, field: str | None = None, code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code


class SeedsRefused(Refused):
    """Seeds with problems; `problems` name line, field and the way out. Nothing was created."""

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        where = f"Line {first.line}: " if first.line else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{where}{first.message}{more}", field="seeds")
        self.problems = problems


__all__ = ["Problem", "Refused", "SeedsRefused"]
