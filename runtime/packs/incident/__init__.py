"""Incident: which of these servers is in trouble, since when, and why?

Seeds are `points`, the measurements of one or more series in a few long facts each, and if wanted how important a
`server` is, and the `setting` `odds`.

Tier 1, **Signals**: six detectors of different kinds look at each series (`detectors`) and tell what they find strange
in one common form (`rarity`): a stretch of time, and how sure they are that it is no chance. `line-up` joins what
overlaps into candidates.

Tier 2, **Incidents**: every detector says of every candidate `incident` or `normal`, and they disagree. One that is
nearly certain prevails; else the aggregation agent `weigh` rules by what all say together, and abstains where the odds
are near even; that is left to people.

Tier 3, **Causes**: which incidents coincide, what may be behind each (by its shape, by habit, by the company it
keeps), how severe it is, `critical` only once an operator signed it, and the status of each series. Everything rests on
what stands: a verdict that falls takes its cause, severity and status with it.
"""

from runtime.packs.incident import causes, rules, signals, status, verdicts
from runtime.packs.incident.keys import pack

__all__ = ["causes", "pack", "rules", "signals", "status", "verdicts"]
