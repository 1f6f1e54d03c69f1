"""The pack and its keys. Schemas carry titles, units, defaults and examples, from which the form is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.agents import Budget, Pack

OUTLOOKS = ("promising", "steady", "saturated", "fading")
STANCES = ("scale", "grow", "keep", "trim", "stop")  # from most to least money
INTERESTS = ("rising", "flat", "falling")
SUMMARY_LENGTH = 600  # characters

pack = Pack(
    "growth",
    title="Marketing growth",
    description="Which marketing channels to back, and how to split the budget between them.",
    version="2",
    tiers=[
        ("Signals", "What the numbers say about each channel."),
        ("Outlook", "Whether each channel is promising, steady, saturated or fading."),
        (
            "Plan",
            "Checked against the web: the strategy, the budget split, and a plan, signed if it is large.",
        ),
    ],
    budget=Budget(cycles=100),
    answer=["economics", "outlook", "evidence.web", "stance", "strategy", "plan.split", "plan", "summary"],
    samples=Path(__file__).parent / "samples",
    sample="tidewater",
)


def _number(
    title: str, description: str, unit: str, default: float, top: float, low: float = 0
) -> dict[str, Any]:
    return {
        "type": "number",
        "title": title,
        "description": description,
        "unit": unit,
        "minimum": low,
        "maximum": top,
        "default": default,
        "examples": [default],
    }


def _choice(title: str, description: str, *words: str) -> dict[str, Any]:
    return {
        "type": "string",
        "title": title,
        "description": description,
        "enum": list(words),
        "default": words[0],
        "examples": [words[0]],
    }


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


_TEXT = {"type": "string", "minLength": 1, "maxLength": 500}
_NAMES = {"type": "array", "items": {"type": "string"}}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}

pack.key(
    "company",
    title="Company",
    description="Who spends the money, and what for. Give exactly one.",
    seed=True,
    subject_label="Company name",
    schema=_object(
        {
            "goal": _choice("Goal", "Profit now, or more customers.", "profit", "customers"),
            "budget": _number(
                "Budget", "What may be spent on all channels together.", "EUR a month", 400_000, 10**9
            ),
            "risk": _choice(
                "Risk appetite", "How far spend may move in one step.", "balanced", "cautious", "bold"
            ),
            "horizon": _number("Horizon", "When results must show.", "months", 12, 60, 1),
        }
    ),
)
pack.key(
    "channel",
    title="Channel",
    description="One marketing channel as it ran last month.",
    seed=True,
    subject_label="Channel name",
    schema=_object(
        {
            "audience": {
                "type": "string",
                "title": "Audience",
                "description": "Whom it reaches; channels of one audience are compared with each other.",
                "minLength": 1,
                "maxLength": 100,
                "default": "General public",
                "examples": ["Active searchers", "Commuters"],
            },
            "stage": _choice("Stage", "What it does to people.", "discover", "convince", "close"),
            "spend": _number("Spend", "Cost last month.", "EUR a month", 20_000, 10**8),
            "conversions": _number(
                "Conversions", "New customers it brought last month.", "customers", 400, 10**8
            ),
            "growth": _number(
                "Growth", "Change of conversions against three months ago.", "percent", 10, 1000, -100
            ),
            "spend_growth": _number(
                "Spend growth", "Change of spend over that time.", "percent", 10, 1000, -100
            ),
            "overlap": _number(
                "Audience overlap", "Share of its audience others reach too.", "percent", 25, 100
            ),
            "margin": _number(
                "Margin", "What a new customer earns before channel cost.", "EUR a customer", 80, 10**6
            ),
        }
    ),
)
pack.key(
    "economics",
    title="Unit economics",
    description="Cost of a customer in EUR (none if there was none), and margin earned for each EUR spent.",
    subject_label="Channel",
    schema=_object(
        {
            "spend": {"type": "number", "title": "Spend, EUR a month"},
            "cost_per_customer": {"type": ["number", "null"], "title": "Cost per customer, EUR"},
            "return": {"type": "number", "title": "Margin per EUR"},
            "profit": {"type": "number", "title": "Profit, EUR a month"},
        }
    ),
)
pack.key(
    "momentum",
    title="Momentum",
    description="Where conversions are going, and how much of it spend does not explain.",
    subject_label="Channel",
    schema=_object(
        {
            "trend": {"enum": ["rising", "flat", "falling"], "title": "Trend"},
            "growth": {"type": "number", "title": "Growth, percent"},
            "beyond_spend": {"type": "number", "title": "Growth beyond spend, points"},
        }
    ),
)
pack.key(
    "saturation",
    title="Diminishing returns",
    description="How conversions answer to spend, and what the next EUR would return.",
    subject_label="Channel",
    schema=_object(
        {
            "elasticity": {"type": "number", "title": "Elasticity", "minimum": 0},
            "next_euro": {"type": "number", "title": "Margin of the next EUR"},
            "measured": {"type": "boolean", "title": "Measured, not assumed"},
        }
    ),
)
pack.key(
    "overlap",
    title="Overlap",
    description="Share of a channel's customers that others of its audience would have caught.",
    subject_label="Channel",
    schema=_object({"audience": _TEXT, "shared": _SHARE, "mostly_with": _TEXT}),
)
pack.key(
    "relation",
    title="Relation",
    description="Which channel feeds or competes with which.",
    subject_label="Channels",
    schema=_object({"kind": {"enum": ["feeds", "competes"]}, "from": _TEXT, "to": _TEXT, "strength": _SHARE}),
)
pack.key(
    "flag",
    title="Risk flag",
    description="Something to be careful about.",
    subject_label="Channel and flag",
    schema=_object({"channel": _TEXT, "flag": _TEXT}),
)
pack.key(
    "outlook",
    title="Outlook",
    description="Where a channel stands.",
    subject_label="Channel",
    schema={"type": "string", "enum": list(OUTLOOKS)},
)
pack.key(
    "evidence.web",
    title="Web evidence",
    description="What the web says about the interest in a channel.",
    subject_label="Channel",
    schema=_object(
        {
            "interest": {"enum": list(INTERESTS), "title": "Interest"},
            "change": {"type": "number", "title": "Change within a year, percent"},
            "finding": _TEXT,
        }
    ),
)
pack.key(
    "stance",
    title="Stance",
    description="What to do with a channel.",
    subject_label="Channel",
    schema={"type": "string", "enum": list(STANCES)},
)
pack.key(
    "strategy",
    title="Strategy",
    subject_label="Company",
    schema=_object(
        {
            "headline": _TEXT,
            "back": _NAMES,
            "keep": _NAMES,
            "cut": _NAMES,
            "falling": _NAMES | {"title": "Interest falls"},
            "unchecked": _NAMES | {"title": "Not looked up on the web"},
        }
    ),
)
pack.key(
    "plan.split",
    title="Budget split",
    description="EUR a month for each channel; the whole split is one value.",
    schema=_object(
        {
            "total": {"type": "number", "title": "Total, EUR a month", "minimum": 0},
            "unspent": {"type": "number", "title": "Unspent, EUR a month", "minimum": 0},
            "channels": {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
        }
    ),
)
pack.key(
    "plan",
    title="Plan",
    description="What is put before the board.",
    subject_label="Company",
    schema=_object(
        {
            "headline": _TEXT,
            "spend": {"type": "number", "title": "Spend, EUR a month"},
            "customers": {"type": "number", "title": "Expected customers a month"},
            "profit": {"type": "number", "title": "Expected profit, EUR a month"},
            "moves": {"type": "array", "items": _TEXT, "title": "What changes"},
        }
    ),
)
pack.key(
    "summary",
    title="Summary",
    description="The strategy in two or three sentences.",
    subject_label="Company",
    schema={"type": "string", "minLength": 1, "maxLength": SUMMARY_LENGTH},
)
