"""Tier 3: what the web says about each channel. Looked up outside, so it may fail; see `{flaky_tools}` for the search
that a fresh installation asks."""

from __future__ import annotations

from runtime.packs.growth.keys import pack

pack.tool(
    "search",
    title="Web search",
    description="Finds out whether people look for something more or less than a year ago. Simulated until an admin "
    "gives another address.",
    kind="http",
    url="{flaky_tools}/search",
    timeout=5.0,
    attempts=2,
    backoff=0.5,
    backoff_max=4.0,
    open_seconds=10.0,
    open_max=120.0,
)
pack.http(
    "web-search",
    tool="search",
    over="channel",
    writes=["evidence.web"],
    tier=3,
    required=True,
    description="Asks the web search whether interest in a channel rises or falls.",
)
