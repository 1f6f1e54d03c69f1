"""Tier 3: the strategy in two or three sentences, by a language model where one answers, and by rule in any case."""

from __future__ import annotations

from runtime.agents import propose
from runtime.engine import Fact, Proposal, View
from runtime.packs.growth.keys import SUMMARY_LENGTH, pack

pack.tool(
    "writer",
    title="Language model",
    description="Any OpenAI-compatible endpoint. Simulated until an admin gives another address.",
    kind="llm",
    url="{flaky_tools}/writer/v1",
    model="simulated",
    timeout=15.0,
    attempts=2,
    price_in=0.5,
    price_out=1.5,
)
pack.llm(
    "write-summary",
    tool="writer",
    over="strategy",
    reads=["company"],
    writes=["summary"],
    tier=3,
    confidence=0.7,
    max_tokens=400,
    description="Puts the strategy and what the web says about it into words. Without it, `summarise` does.",
    system="You write for a board that has one minute. Use only what you are told, and no figure that is not there.",
    prompt="""\
Put this marketing strategy into two or three sentences of plain words, at most 500 characters.

Company: {{ item.subject }}{% for company in facts.company %}, which wants {{ company.value.goal }} and has \
{{ company.value.budget|fixed:0 }} EUR a month{% endfor %}
Strategy: {{ item.value.headline }}
Back: {{ item.value.back|json }}
Keep: {{ item.value.keep|json }}
Cut: {{ item.value.cut|json }}
Interest on the web falls in: {{ item.value.falling|json }}
Not looked up on the web: {{ item.value.unchecked|json }}
""",
)


@pack.each("strategy", writes=["summary"], tier=3)
def summarise(strategy: Fact, view: View) -> Proposal:
    """The strategy in fixed words."""
    value = strategy.value
    counts = ", ".join(f"{len(value[part])} to {part}" for part in ("back", "keep", "cut"))
    web = [f"Interest falls in {_some(value['falling'])}."] if value["falling"] else []
    if value["unchecked"]:
        web.append(f"The web was not asked about {_some(value['unchecked'])}.")
    text = " ".join([value["headline"], f"That is {counts}.", *web])
    return propose("summary", strategy.subject, text[:SUMMARY_LENGTH], 0.6)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
