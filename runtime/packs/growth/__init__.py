"""Growth: which marketing channels to back with next month's budget.

Seeds are one `company` (goal, budget, risk, horizon) and its `channel`s (spend, customers, growth, overlap,
margin). Two samples: `tidewater` leaves two questions to people, `corner-shop` none.

Tier 1, **Signals**: what the numbers say about each channel. Unit economics; momentum; diminishing returns,
as the elasticity e of customers over spend between two months, so that the next euro returns e times the
average one; how far channels of one audience catch each other's customers; which channels feed or compete
with each other; risk flags in CEL.

Tier 2, **Outlook**: two agents judge each channel from different signals, and may disagree: one sees growth
and calls a channel promising, the other sees that the next euro loses money and calls it saturated. A clear
margin of confidence decides; else, where less than 40,000 EUR a month is at stake, the aggregation agent
`weigh` rules by what the channel returns after overlap, or abstains if that is close to break-even; else an
operator decides. Nothing that rests on an undecided channel is computed; the stances on all others are.

Tier 3, **Plan**: a web search asked about each channel; a stance on each, one step more careful where interest
falls; one strategy, one split of the budget (equal marginal returns within the bounds of the stances; it can never
exceed the budget), a plan, which an operator approves if it spends 100,000 EUR a month or more, and a summary, written
by a language model or, without one, by rule. While the search is down, tier 3 is not reached; stances, strategy and
plan are then drawn from the numbers alone and published at a discount, and revised when the search is back.
"""

from runtime.packs.growth import outlook, plan, rules, signals, summary, web
from runtime.packs.growth.keys import pack

__all__ = ["outlook", "pack", "plan", "rules", "signals", "summary", "web"]
