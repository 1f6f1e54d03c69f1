"""Failures of agents in words. They enter the journal and its digest, so they must not vary from run to
run."""

from __future__ import annotations

import logging
import re
from typing import Any

from runtime.agents.errors import DeclarationError
from runtime.engine import Failure, Run
from runtime.tools.failures import ToolFailed

log = logging.getLogger(__name__)

LONGEST = 500
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # where an object happened to lie in memory


def describe_error(run: Run, error: BaseException) -> Failure:
    """The failure for an exception that an agent let out; a tool's failure is told as the tool's."""
    failed = _tool_failure(error)
    if failed is not None:
        return failed.as_failure()._replace(message=short(failed.message))
    if isinstance(error, DeclarationError):  # what was configured cannot be, and says so in a sentence
        return Failure("agent_error", short(str(error)), False)
    log.info("agent %s raised", run.agent.name, exc_info=error)
    return Failure("agent_error", short(f"{type(error).__name__}: {_text_of(error)}"), False)


def _tool_failure(error: BaseException) -> ToolFailed | None:
    """The tool's failure in what was raised. Of several in a group, always the same one, whichever came first."""
    if isinstance(error, ToolFailed):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    inner = [_tool_failure(part) for part in error.exceptions]
    found = [failed for failed in inner if failed is not None]
    return min(found, key=lambda failed: (failed.tool, failed.cls, failed.message), default=None)


def timed_out(seconds: float, called: bool = True) -> Failure:
    """The failure of a call that took too long; or, not `called`, of one spared as others of its agent
    had."""
    if called:
        return Failure("timeout", f"It took longer than {seconds:g} s.", True)
    return Failure("timeout", f"It was not called: others of this agent took over {seconds:g} s.", True)


def not_called() -> Failure:
    """The failure of a run that was not begun, as the cycle had to end."""
    return Failure("timeout", "It was not called: the cycle had to end.", True)


def bad_output(run: Run, said: Any) -> Failure:
    """The failure of an agent that returned something no agent returns."""
    if hasattr(said, "cr_frame"):
        said.close()  # a coroutine nobody awaits would warn when it is collected
    return Failure("bad_output", short(f"It returned {_kind_of(said)}; expected {_expected(run)}."), False)


def no_proposal(run: Run, said: Any) -> str:
    """Why one of the things an agent listed is rejected."""
    return short(f"{_kind_of(said)} is no proposal; expected {_expected(run)}")


def _expected(run: Run) -> str:
    if run.agent.shape == "aggregate":
        return "ruling(), or None to abstain"
    return "propose(), a list or generator of them, or None"


def short(text: str) -> str:
    """`text` without memory addresses and what JSON text may not hold, cut to `LONGEST` characters."""
    clean = _ADDRESS.sub("", text).encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or "no message"
    except Exception:
        return "its message cannot be read"


def _kind_of(said: Any) -> str:
    if isinstance(said, str | int | float):
        return f"the {type(said).__name__} {said!r}"
    return f"a value of type {type(said).__name__}"
