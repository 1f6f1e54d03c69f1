"""Packs for pages: `seesaw`, whose two agents swing for ever and in which anybody may speak; and `scouts`, whose third
tier needs a search that is down or not, as a test wants it."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.agents import Pack, propose
from runtime.engine import Fact, Proposal, View
from runtime.tools.failures import ToolFailed

seesaw = Pack("seesaw", tiers=["Level"], answer=["left", "right", "note"], title="Seesaw")
seesaw.key("push", schema={"type": "integer"}, seed=True)
seesaw.key("left", schema={"type": "integer"}, title="Left side")
seesaw.key("right", schema={"type": "integer"}, title="Right side")
seesaw.key("note", schema={"type": "string", "enum": ["calm", "windy", "42"]}, seed=True)
seesaw.key("wish", schema={"type": "string"}, seed=True)
seesaw.approval("a second pair of eyes", keys=["wish"], exclude_submitter=False)

SEEDS = [
    {"key": "push", "subject": "x", "value": 1},
    {"key": "note", "subject": "sky", "value": "calm", "confidence": 0.6},
]


@seesaw.agent(reads=["push", "right"], writes=["left"], required=True)
def lift_left(view: View) -> Proposal:
    """The opposite of the right side."""
    right = view.fact("right", "x")
    return propose("left", "x", 1 - right.value if right else 0, because=[("push", "x")])


@seesaw.agent(reads=["left"], writes=["right"], required=True)
def lift_right(view: View) -> Iterator[Proposal]:
    """What the left side says."""
    left = view.fact("left", "x")
    if left:
        yield propose("right", "x", left.value, because=[("left", "x")])


scouts = Pack(
    "scouts",
    tiers=["Known", "Judged", "Checked"],
    answer=["verdict", "evidence.web", "report"],
    title="Scouts",
)
scouts.key("topic", schema={"type": "number"}, seed=True, subject_label="Topic")
scouts.key("verdict", schema={"enum": ["high", "low"]}, title="Verdict", subject_label="Topic")
scouts.key("evidence.web", schema={"type": "string"}, title="Web evidence", subject_label="Topic")
scouts.key(
    "report",
    title="Report",
    schema={"type": "object", "properties": {"high": {"type": "array"}, "checked": {"type": "integer"}}},
)
scouts.discount("half heard", keys=["report", "evidence.*"], incomplete=0.8, provisional=0.7)

TOPICS = [{"key": "topic", "subject": name, "value": place} for place, name in enumerate(("ants", "bees"), 1)]
# What the search does: the class of its failure, or "" for an answer.
search = {"fails": ""}


@scouts.each("topic", writes=["verdict"], tier=2, required=True)
def judge(topic: Fact, view: View) -> Proposal:
    """High or low."""
    return propose("verdict", topic.subject, "high" if topic.value > 1 else "low", 0.9)


@scouts.each("topic", writes=["evidence.web"], tier=3, required=True)
def web_search(topic: Fact, view: View) -> Proposal:
    """What the web says, if it says anything."""
    if search["fails"]:
        cls = search["fails"]
        raise ToolFailed(cls, "search did not answer in time.", tool="search")
    return propose("evidence.web", topic.subject, f"seen {topic.subject}", 0.8)


@scouts.agent(reads=["verdict", "evidence.web"], writes=["report"], tier=3, required=True)
def sum_up(view: View) -> Proposal:
    """Counts."""
    high = [verdict.subject for verdict in view["verdict"] if verdict.value == "high"]
    return propose("report", "all", {"high": high, "checked": len(view["evidence.web"])}, 0.9)
