"""One tool in full: its breaker and figures, its recent calls, who waits on it, who uses it, how it is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from converge_site.fragments.amounts import count_words
from converge_site.fragments.breakers import read_breakers
from converge_site.fragments.tool_board import ToolRow, read_rows
from converge_site.fragments.tool_calls import CallFilter, CallPage, read_calls
from runtime.models import Agent, Job, JobStatus, Tool, ToolCall

WAITING_SHOWN = 20
SPOKEN_CALLS = 500  # latest calls in which agents that name no tool in their settings are looked for


@dataclass(frozen=True, slots=True)
class ToolUser:
    """An agent that uses the tool: its pack's name, or "" for one that only the calls tell of."""

    pack: str
    agent: str
    kind: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ToolView:
    """Everything the page shows that changes by itself."""

    row: ToolRow
    calls: CallPage
    waiting: list[Job] = field(default_factory=list)

    @property
    def rev(self) -> str:
        """Changes whenever a person's forms must be others."""
        return f"{self.can_trip:d}{self.can_reset:d}{self.row.breaker.state == 'unknown':d}"

    @property
    def can_trip(self) -> bool:
        """Whether there is anything to trip."""
        return self.row.breaker.state not in ("tripped", "unknown")

    @property
    def can_reset(self) -> bool:
        """Whether there is anything to reset."""
        breaker = self.row.breaker
        return breaker.state in ("open", "half_open", "tripped", "paused") or breaker.failures > 0

    @property
    def more_waiting(self) -> int:
        """How many waiting jobs are not shown."""
        return max(0, self.row.waiting - len(self.waiting))


def read_tool(tool: Tool, chosen: CallFilter) -> ToolView:
    """The page of one tool."""
    (row,) = read_rows([tool], read_breakers([tool.name]))
    waiting = Job.objects.filter(status=JobStatus.RECOVERING, waits_on__contains=f" {tool.name} ")
    shown = waiting.select_related("pack").order_by("retry_at", "pk")[:WAITING_SHOWN]
    return ToolView(row, read_calls(tool.name, chosen), list(shown))


def read_users(tool: str) -> list[ToolUser]:
    """The agents that name the tool in their settings, and those whose code has called it lately."""
    named = Agent.objects.filter(config__tool=tool).select_related("pack").order_by("pack__name", "position")
    users = [ToolUser(agent.pack.name, agent.name, agent.kind, agent.enabled) for agent in named]
    latest = ToolCall.objects.filter(tool=tool).order_by("-started_at", "-pk")
    called = set(latest.values_list("agent", "job__pack__name")[:SPOKEN_CALLS])
    known = {(user.agent, user.pack) for user in users}
    return users + [ToolUser(pack, agent) for agent, pack in sorted(called - known)]


def read_settings(tool: Tool) -> list[tuple[str, str]]:
    """The tool's settings in words. Of the secret only the name of its variable is known here."""
    wait = f"{tool.backoff:g} s, then twice as long each time, at most {tool.backoff_max:g} s"
    again = f"{count_words(tool.attempts, 'attempt')}" + (
        f"; the second after {wait}" if tool.attempts > 1 else ""
    )
    jitter = f"; {tool.jitter:.0%} of a wait is left to chance" if tool.attempts > 1 and tool.jitter else ""
    told = [
        (
            "Kind",
            {"http": "HTTP API", "llm": "language model", "mcp": "MCP server"}.get(tool.kind, tool.kind),
        ),
        ("Address", _plain_address(tool.url)),
        ("Model", tool.model),
        ("Timeout", f"{tool.timeout:g} s an attempt"),
        ("Retries", again + jitter),
        (
            "Breaker",
            f"opens after {count_words(tool.failure_threshold, 'failure')} within {tool.window:g} s, for "
            f"{tool.open_seconds:g} s, twice as long after each probe that failed (at most {tool.open_max:g} s); "
            f"{count_words(tool.probes, 'probe')} at a time, and as many that succeed close it",
        ),
        ("Limit", f"{count_words(tool.concurrency, 'call')} at a time over all runtimes"),
        ("Largest answer", f"{tool.max_bytes:,} bytes"),
        ("Private addresses", ", ".join(map(str, tool.allow)) or "none allowed"),
        ("Secret", f"in the environment variable {tool.secret_env}" if tool.secret_env else "none"),
    ]
    if tool.price_in or tool.price_out:
        told.append(("Prices", f"{tool.price_in:g} in, {tool.price_out:g} out, for a million tokens"))
    return [(name, words) for name, words in told if words]


def _plain_address(url: str) -> str:
    """The address without what may be a secret in it: name and password, and the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if "{" in url or not parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
