"""Incidents of several series that fall together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.packs.incident.series import to_seconds

Candidates = Mapping[str, Mapping[str, Any]]


def find_episodes(incidents: Candidates) -> list[dict[str, Any]]:
    """Groups of incidents, by subject, of at least two series that overlap in time, in order of time.

    `by_chance` is how many overlaps of incidents of this length two such series would show if they fell anywhere.
    """
    groups = [group for group in _group(incidents) if len({incidents[s]["series"] for s in group}) > 1]
    return [_describe(group, incidents) for group in groups]


def _group(incidents: Candidates) -> list[list[str]]:
    """Chains of incidents each of which begins before the ones before it have ended."""
    groups: list[list[str]] = []
    end = 0
    for subject in sorted(incidents, key=lambda s: (incidents[s]["since"], s)):
        begin, last = to_seconds(incidents[subject]["since"]), to_seconds(incidents[subject]["to"])
        if groups and begin <= end:
            groups[-1].append(subject)
        else:
            groups.append([subject])
            end = last
        end = max(end, last)
    return groups


def _describe(group: list[str], incidents: Candidates) -> dict[str, Any]:
    members = [incidents[subject] for subject in group]
    return {
        "from": members[0]["since"],
        "to": max(member["to"] for member in members),
        "series": sorted({member["series"] for member in members}),
        "incidents": group,
        "first": members[0]["series"],
        "by_chance": round(_expect_overlaps(group, incidents), 2),
    }


def _expect_overlaps(group: list[str], incidents: Candidates) -> float:
    """For the two series of the group that meet first: incidents of one times those of the other, times the chance
    that two of this length meet within the time observed."""
    first = incidents[group[0]]
    other = next(incidents[s] for s in group if incidents[s]["series"] != first["series"])
    counts = [sum(one["series"] == name["series"] for one in incidents.values()) for name in (first, other)]
    lengths = sum(to_seconds(one["to"]) - to_seconds(one["since"]) + one["near"] for one in (first, other))
    observed = max(first["observed"], other["observed"], 1)
    return float(counts[0] * counts[1] * min(lengths / observed, 1.0))
