"""Who decides what, and what must hold."""

from __future__ import annotations

from runtime.packs.incident.keys import pack
from runtime.packs.incident.verdicts import NEARLY_CERTAIN

pack.confidence("nearly certain", keys=["verdict"], margin=NEARLY_CERTAIN, priority=10)
pack.operator("too close to call", keys=["verdict"], priority=90)
pack.confidence("the likelier cause", keys=["cause"], margin=0.15, priority=10)
pack.operator("people name the cause", keys=["cause"], priority=90)

pack.approval(
    "critical is signed",
    keys=["severity"],
    count=1,
    groups=["operator", "admin"],
    when='value == "critical"',
    message="Calling an incident critical wakes people up: an operator signs it first.",
    deadline=4 * 3_600,
    outcome="stay",
    remind=3_600,
)
# Examples, switched off: an admin tries one on past jobs and activates it, or drafts another like it.
pack.approval(
    "somebody else signs critical",
    keys=["severity"],
    exclude_submitter=True,
    when='value == "critical"',
    message="Whoever reported it does not sign it.",
    enabled=False,
)
pack.operator(
    "the likeliest cause after a day",
    keys=["cause"],
    priority=80,
    reason=True,
    deadline=86_400,
    outcome="strongest",
    remind=3_600,
    enabled=False,
)
pack.constraint(
    "only incidents are severe",
    keys=["severity"],
    expression='fact("verdict", subject) == "incident"',
    message="A severity needs an incident that stands.",
)
pack.invariant(
    "something was measured",
    tier=1,
    expression='facts("points").size() > 0',
    message="Give the points of at least one series.",
)
pack.invariant(
    "every incident has a cause",
    tier=3,
    expression='facts("verdict").all(s, facts("verdict")[s] != "incident" || s in facts("cause"))',
    message="An incident stands whose cause nobody names.",
)
pack.discount("shaky ground", incomplete=0.8, provisional=0.7)
