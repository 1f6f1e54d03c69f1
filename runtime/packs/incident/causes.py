"""Tier 3: what stands as an incident gets a cause and a severity, and each series its status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.agents import propose
from runtime.engine import Fact, Proposal, View
from runtime.packs.incident.episodes import find_episodes
from runtime.packs.incident.keys import SEVERITIES, pack
from runtime.packs.incident.series import to_seconds
from runtime.packs.incident.signals import signal_subject
from runtime.packs.incident.verdicts import LASTING

DAY, HOUR = 86_400, 3_600
FEW_HOURS = 6.0  # up to which an incident that ended is a burst and no new level
LARGE, HUGE = 8.0, 20.0  # usual deviations
RECURS = 2  # other days on which the same hour stood out


@pack.agent(reads=["review", "candidate", "verdict"], writes=["episode"], tier=3, required=True)
def coincide(view: View) -> Iterator[Proposal]:
    """Finds incidents of several series at the same time, and how often chance would bring that about."""
    standing = [
        candidate
        for candidate in view["candidate"]
        if (verdict := view.fact("verdict", candidate.subject)) and verdict.value == "incident"
    ]
    for episode in find_episodes({fact.subject: fact.value for fact in standing}):
        because = [(key, subject) for subject in episode["incidents"] for key in ("candidate", "verdict")]
        sure = round(1 / (1 + episode["by_chance"]), 2)
        yield propose("episode", f"since {episode['from']}", episode, sure, because=because)


@pack.each("verdict", reads=["candidate", "extent"], writes=["cause"], tier=3, required=True)
def judge_by_shape(verdict: Fact, view: View) -> Proposal | None:
    """Reads the cause off the form: data that stopped, a new level, a drop or a burst."""
    candidate, extent = view.fact("candidate", verdict.subject), view.fact("extent", verdict.subject)
    if verdict.value != "incident" or candidate is None or extent is None:
        return None
    word, sure = read_shape(candidate.value, extent.value)
    evidence = {name: extent.value[name] for name in ("deviation", "shift", "hours", "ended")}
    because = [verdict, candidate, extent]
    return propose("cause", verdict.subject, word, sure, evidence=evidence, because=because)


def read_shape(candidate: Mapping[str, Any], extent: Mapping[str, Any]) -> tuple[str, float]:
    """A cause and how sure the form alone makes of it."""
    if candidate["found_by"] == ["silence"]:
        return "data stopped", 0.9
    if abs(extent["shift"]) >= LASTING and (extent["hours"] > FEW_HOURS or not extent["ended"]):
        return "lasting change", round(min(0.5 + abs(extent["shift"]) / 20, 0.9), 2)
    return ("burst" if extent["deviation"] >= 0 else "drop"), 0.6


@pack.each("verdict", reads=["candidate", "signal"], writes=["cause"], tier=3, required=True)
def judge_by_habit(verdict: Fact, view: View) -> Proposal | None:
    """Calls it a recurring job if the same hour of other days stood out too."""
    candidate = view.fact("candidate", verdict.subject)
    if verdict.value != "incident" or candidate is None:
        return None
    subjects = [signal_subject(name, candidate.value["series"]) for name in candidate.value["found_by"]]
    signals = [fact for subject in subjects if (fact := view.fact("signal", subject))]
    days = count_other_days(candidate.value, [signal.value for signal in signals])
    if days < RECURS:
        return None
    evidence = {"other_days": days}
    sure = round(min(0.5 + days / 20, 0.8), 2)
    because = [verdict, candidate, *signals]
    return propose("cause", verdict.subject, "recurring job", sure, evidence=evidence, because=because)


def count_other_days(candidate: Mapping[str, Any], signals: list[Mapping[str, Any]]) -> int:
    """Other days with a noticed peak within an hour of the candidate's time of day."""
    begin, end = to_seconds(candidate["from"]), to_seconds(candidate["to"])
    peaks = [to_seconds(stretch["peak"]) for signal in signals for stretch in signal["stretches"]]
    own = [peak for peak in peaks if begin <= peak <= end]
    days = {
        round((peak - mine) / DAY)
        for mine in own
        for peak in peaks
        if abs((peak - mine + DAY // 2) % DAY - DAY // 2) <= HOUR
    }
    return len(days - {0})


@pack.each("episode", reads=["verdict"], writes=["cause"], tier=3, required=True)
def judge_by_company(episode: Fact, view: View) -> Iterator[Proposal]:
    """Suspects something behind them all where several series are in trouble at once."""
    for subject in episode.value["incidents"]:
        evidence = {"series": episode.value["series"], "first": episode.value["first"]}
        because = [("episode", episode.subject), ("verdict", subject)]
        sure = round(0.9 * episode.confidence, 2)
        yield propose("cause", subject, "shared cause", sure, evidence=evidence, because=because)


@pack.each(
    "cause", reads=["verdict", "extent", "episode", "server"], writes=["severity"], tier=3, required=True
)
def judge_severity(cause: Fact, view: View) -> Proposal | None:
    """How bad it is: by its size, whether it goes on, whom else it hits, and how much hangs on the series."""
    verdict, extent = view.fact("verdict", cause.subject), view.fact("extent", cause.subject)
    if verdict is None or verdict.value != "incident" or extent is None:
        return None
    server = view.fact("server", extent.value["series"])
    episodes = [fact for fact in view["episode"] if cause.subject in fact.value["incidents"]]
    importance = server.value.get("importance", "usual") if server else "usual"
    grounds = find_grounds(cause.value, extent.value, importance, bool(episodes))
    word = SEVERITIES[min(max(sum(grounds.values()) - 1, 0), 2)]
    because = [cause, verdict, extent, *episodes, *([server] if server else [])]
    sure = min(cause.confidence, verdict.confidence)
    return propose("severity", cause.subject, word, sure, evidence={"grounds": grounds}, because=because)


def find_grounds(cause: str, extent: Mapping[str, Any], importance: str, shared: bool) -> dict[str, int]:
    """Points for (and against) severity, by ground: up to 1 is minor, 2 major, 3 critical."""
    size = abs(extent["deviation"])
    points = {
        "size": 2 if size >= HUGE else 1 if size >= LARGE else 0,
        "goes on": 0 if extent["ended"] else 1,
        "others hit": 1 if shared else 0,
        "new level": 1 if cause == "lasting change" else 0,
        "no data": 1 if cause == "data stopped" else 0,
        "known habit": -1 if cause == "recurring job" else 0,
        "importance": {"high": 1, "low": -1}.get(importance, 0),
    }
    return {ground: count for ground, count in points.items() if count}
