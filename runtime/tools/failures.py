"""What can go wrong with a tool, in the nine classes of D5.2.

A failure's message enters the journal and its digest. The same cause therefore always gives the same text: no times,
durations, counts, addresses or words of the server's, which the log has instead.
"""

from __future__ import annotations

import re
import socket
import ssl

from runtime.engine.inputs import FAILURE_CLASSES, Failure

TRANSIENT = frozenset({"timeout", "unreachable", "rate_limited", "server_error", "circuit_open"})
LONGEST = 500
# httpcore's and h11's words for a connection that ended before the answer did.
_ENDED_EARLY = re.compile("disconnected without|without sending complete message")


class ToolFailed(Exception):
    """A call of a tool came to nothing.

    `cls` is one of FAILURE_CLASSES, `message` is for people, `transient` says whether trying again may help: by
    default what TRANSIENT says of the class; what cannot be printed is a space in it, since a message may quote what
    somebody outside chose, and PostgreSQL keeps no NUL. `status` is the HTTP status, if there was an
    answer; `retry_after` the seconds that the tool asked us to stay away.
    """

    def __init__(
        self,
        cls: str,
        message: str,
        *,
        tool: str = "",
        transient: bool | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        if cls not in FAILURE_CLASSES:
            raise ValueError(f"{cls!r} is no failure class")
        words = _printable(message)
        super().__init__(words)
        self.cls = cls
        self.message = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
        self.tool = _printable(tool)
        self.transient = cls in TRANSIENT if transient is None else transient
        self.status = status
        self.retry_after = retry_after

    def as_failure(self) -> Failure:
        """This as the engine takes it."""
        return Failure(self.cls, self.message, self.transient, self.tool)


def from_failure(failure: Failure, status: int | None = None) -> ToolFailed:
    """The exception for a failure that was recorded earlier."""
    return ToolFailed(
        failure.cls, failure.message, tool=failure.tool, transient=failure.transient, status=status
    )


def timed_out(tool: str) -> ToolFailed:
    return ToolFailed("timeout", f"{tool} did not answer in time.", tool=tool)


def no_place(tool: str) -> ToolFailed:
    """The tool is well, but others took all its places for as long as the run could wait."""
    return ToolFailed("rate_limited", f"{tool} has no free place.", tool=tool)


def bad_output(tool: str, why: str, status: int | None = None) -> ToolFailed:
    """`why` completes the sentence "`tool` answered ..."."""
    return ToolFailed("bad_output", f"{tool} answered {why}.", tool=tool, status=status)


def from_status(tool: str, status: int, retry_after: float | None = None) -> ToolFailed | None:
    """The failure that an HTTP status stands for; None for 2xx."""
    told = f"(HTTP {status})"
    if 200 <= status < 300:
        return None
    if status == 429:
        cls, words = "rate_limited", f"{tool} asks for fewer calls {told}."
    elif status >= 500:
        cls, words = "server_error", f"{tool} has trouble of its own {told}."
    elif 300 <= status < 400:
        cls, words = "refused", f"{tool} answered with a redirect, which is not followed {told}."
    else:
        cls, words = "refused", f"{tool} refused the request {told}."
    return ToolFailed(cls, words, tool=tool, status=status, retry_after=retry_after)


def from_error(tool: str, error: BaseException) -> ToolFailed:
    """The failure for whatever came out of the HTTP client, the socket or TLS; ToolFailed itself passes."""
    import httpx2

    found = causes(error)
    for cause in found:
        if isinstance(cause, ToolFailed):
            return cause
    if any(isinstance(cause, httpx2.TimeoutException | TimeoutError) for cause in found):
        return timed_out(tool)
    if any(isinstance(cause, socket.gaierror) for cause in found):
        return _unreachable(tool, "cannot be found: the name of its host is not known")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in found):
        return _unreachable(tool, "cannot be reached: its certificate is not accepted")
    if any(isinstance(cause, ssl.SSLError) for cause in found):
        return _unreachable(tool, "cannot be reached: no secure connection came about")
    if isinstance(error, httpx2.ConnectError):
        return _unreachable(tool, "cannot be reached: nothing accepts the connection")
    if isinstance(error, httpx2.LocalProtocolError | httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return ToolFailed(
            "refused", f"{tool} cannot be asked: its address or headers are not valid.", tool=tool
        )
    if isinstance(error, httpx2.RemoteProtocolError) and not _ENDED_EARLY.search(str(error)):
        return bad_output(tool, "with something that is not HTTP")
    if isinstance(error, httpx2.DecodingError):
        return bad_output(tool, "in an encoding that cannot be read")
    if isinstance(error, httpx2.TransportError | OSError):
        return _unreachable(tool, "broke the connection off")
    return ToolFailed(
        "agent_error", f"The call of {tool} ended in {type(error).__name__}.", tool=tool, transient=False
    )


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _unreachable(tool: str, words: str) -> ToolFailed:
    return ToolFailed("unreachable", f"{tool} {words}.", tool=tool)


def causes(error: BaseException) -> list[BaseException]:
    """`error`, and what it was raised from or, for a group, what it holds; nearest first."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < 50:
        this = waiting.pop(0)
        if this is None or this in found:
            continue
        found.append(this)
        if isinstance(this, BaseExceptionGroup):
            waiting.extend(this.exceptions)
        # The context too: httpcore2 raises its errors anew `from None`.
        waiting.append(this.__cause__ or this.__context__)
    return found
