"""The pack and its keys: what is said, in which form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.agents import Budget, Pack
from runtime.packs.incident.reading import read_points_csv
from runtime.packs.incident.series import CHUNK

ODDS = 2.0
CAUSES = ("burst", "drop", "lasting change", "data stopped", "recurring job", "shared cause")
SEVERITIES = ("minor", "major", "critical")
STATES = ("in trouble", "was in trouble", "well", "too short to tell")

pack = Pack(
    "incident",
    title="Which servers are in trouble?",
    description="Which of these servers is in trouble, since when, and why? Detectors of different kinds look at each "
    "series of measurements and disagree; rules and people settle what is an incident, its cause and its severity.",
    tiers=[
        ("Signals", "What each detector finds strange in each series."),
        ("Incidents", "Which of that is an incident."),
        ("Causes", "Why, how severe, and what it comes to for each series."),
    ],
    budget=Budget(cycles=100),
    answer=["status", "verdict", "extent", "episode", "cause", "severity"],
    samples=Path(__file__).parent / "samples",
    sample="servers",
    csv_reader=read_points_csv,
)


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


_NAME = {"type": "string", "minLength": 1, "maxLength": 150}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"}
_NUMBER = {"type": "number"}
_NAMES = {"type": "array", "items": {"type": "string"}}

pack.key(
    "points",
    title="Points",
    description="A stretch of one series of measurements. Points lie `step` seconds apart, or `at` says how many "
    "seconds after the start each lies.",
    seed=True,
    subject_label="Series and start",
    schema=_object(
        {
            "series": {**_NAME, "title": "Series", "description": "The server and what is measured."},
            "start": {**_TIME, "title": "Start", "description": "Time of the first point, UTC."},
            "step": {"type": "integer", "title": "Step", "unit": "seconds", "minimum": 1, "default": 300},
            "at": {
                "type": "array",
                "title": "At",
                "maxItems": CHUNK,
                "items": {"type": "integer", "minimum": 0},
            },
            "values": {
                "type": "array",
                "title": "Values",
                "minItems": 1,
                "maxItems": CHUNK,
                "items": {"type": "number", "minimum": -1e100, "maximum": 1e100},
            },
        },
        ["series", "start", "values"],
    ),
)
pack.key(
    "server",
    title="Servers",
    description="How much hangs on a series; left out, as much as usual.",
    seed=True,
    subject_label="Series",
    schema=_object(
        {
            "importance": {
                "type": "string",
                "title": "Importance",
                "enum": ["usual", "high", "low"],
                "default": "usual",
            }
        }
    ),
)
pack.key(
    "setting",
    title="Settings",
    description="`odds`: where the odds for and against an incident are less than this to one, people decide.",
    seed=True,
    subject_label="Setting",
    schema={"type": "number", "minimum": 1, "maximum": 1000, "default": ODDS, "title": "Odds"},
)
pack.key(
    "signal",
    title="Signals",
    description="What one detector finds strange in one series, and how sure it is that it is no chance.",
    subject_label="Detector on series",
    schema=_object(
        {
            "series": _NAME,
            "detector": {"type": "string"},
            "from": _TIME,
            "to": _TIME,
            "near": _NUMBER,
            "judges_from": {"anyOf": [_TIME, {"type": "null"}]},
            "stretches": {
                "type": "array",
                "items": _object(
                    {"from": _TIME, "to": _TIME, "peak": _TIME, "figure": _NUMBER, "confidence": _NUMBER}
                ),
            },
        }
    ),
)
pack.key(
    "candidate",
    title="Candidates",
    description="A time at which at least one detector found a series strange.",
    subject_label="Series since",
    schema=_object(
        {
            "series": _NAME,
            "since": _TIME,
            "from": _TIME,
            "to": _TIME,
            "near": _NUMBER,
            "found_by": _NAMES,
            "observed": _NUMBER,
        }
    ),
)
pack.key(
    "review",
    title="Reviews",
    description="Which detectors could judge a series, and how many candidates they put up.",
    subject_label="Series",
    schema=_object({"candidates": _NUMBER, "judged_by": _NAMES}),
)
pack.key(
    "verdict",
    title="Verdicts",
    description="Whether a candidate is an incident.",
    subject_label="Series since",
    schema={"enum": ["incident", "normal"]},
)
pack.key(
    "extent",
    title="Extent",
    description="How far a candidate lies from what was usual before, in usual deviations.",
    subject_label="Series since",
    schema=_object(
        {
            "series": _NAME,
            "before": _NUMBER,
            "during": _NUMBER,
            "extreme": _NUMBER,
            "deviation": _NUMBER,
            "shift": _NUMBER,
            "hours": _NUMBER,
            "ended": {"type": "boolean"},
        }
    ),
)
pack.key(
    "episode",
    title="Episodes",
    description="Incidents of several series at the same time.",
    subject_label="Since",
    schema=_object(
        {
            "from": _TIME,
            "to": _TIME,
            "series": _NAMES,
            "incidents": _NAMES,
            "first": _NAME,
            "by_chance": _NUMBER,
        }
    ),
)
pack.key(
    "cause",
    title="Causes",
    description="What may be behind an incident.",
    subject_label="Series since",
    schema={"enum": list(CAUSES)},
)
pack.key(
    "severity",
    title="Severity",
    description="How bad an incident is. `critical` needs a signature.",
    subject_label="Series since",
    schema={"enum": list(SEVERITIES)},
)
pack.key(
    "status",
    title="Status",
    description="What it comes to for each series.",
    subject_label="Series",
    schema=_object(
        {
            "state": {"enum": list(STATES)},
            "since": {"anyOf": [_TIME, {"type": "null"}]},
            "why": {"type": "string"},
            "severity": {"enum": ["", *SEVERITIES]},
            "incidents": _NUMBER,
        }
    ),
)
