"""Who decides what, and what must hold."""

from __future__ import annotations

from runtime.packs.growth.keys import pack

pack.confidence("clear margin", keys=["outlook"], margin=0.4, priority=10)
pack.operator("an operator decides", keys=["outlook"], priority=90)
pack.dominance("the written summary stands", keys=["summary"], agents=["write-summary"])

pack.constraint(
    "no split over budget",
    keys=["plan.split"],
    expression='facts("company").all(name, value.total <= facts("company")[name].budget)',
    message="The split spends more than the company's budget.",
)
pack.invariant(
    "one company",
    tier=1,
    expression='facts("company").size() == 1',
    message="Give exactly one company; its budget is the one that is split.",
)
pack.invariant(
    "never over budget",
    tier=3,
    expression='facts("plan.split").all(slot, facts("company").all(name, '
    'facts("plan.split")[slot].total <= facts("company")[name].budget))',
    message="What the plan spends must stay within the company's budget.",
)
pack.approval(
    "somebody signs the plan",
    keys=["plan"],
    count=1,
    groups=["operator", "admin"],
    when="value.spend >= 100000",
    message="An operator approves a plan of 100,000 EUR a month or more before it stands.",
)
# Examples, switched off: an admin tries one on past jobs and activates it, or drafts another like it.
pack.dominance(
    "the customer database knows best", keys=["outlook"], sources=["crm"], priority=5, enabled=False
)
pack.newer("newer figures beat older ones", keys=["outlook"], field="observed_at", priority=20, enabled=False)
pack.operator(
    "marketing decides within a day",
    keys=["outlook"],
    priority=80,
    groups=["marketing"],
    reason=True,
    deadline=86_400,
    outcome="stay",
    remind=3_600,
    enabled=False,
)
pack.approval(
    "four eyes on a large plan",
    keys=["plan"],
    count=2,
    exclude_submitter=True,
    when="value.spend >= 500000",
    message="Two people other than the submitter sign a plan of 500,000 EUR a month or more.",
    deadline=2 * 86_400,
    outcome="reject",
    remind=4 * 3_600,
    enabled=False,
)
pack.discount("shaky ground", incomplete=0.8, provisional=0.7)
pack.accepts_lint(
    "key_never_read",
    "flag",
    why="Flags are for people: who decides or signs sees them in the job's context. No sum rests on them.",
)
