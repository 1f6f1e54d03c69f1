"""One job as large as pages must stay usable with: 50,000 entries, 10,000 facts, a handful of open questions.

It is run for real through the worker's loop, which takes less time than making up a consistent journal would.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.agents import Pack, propose
from runtime.agents.functions import Function
from runtime.engine import Core, Fact, PackSpec, Proposal, View
from tests.bench.shapes import BOUNDLESS

LOTS, FACTS_A_LOT, VOICES = 50, 200, 5
FACTS = LOTS * FACTS_A_LOT
ODD = 500  # every so many facts one voice disagrees
AREAS = ("soil", "water", "air", "noise")
_READING = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "title": "Score"},
        "label": {"type": "string", "title": "Label"},
    },
}


def survey(lots: int = LOTS) -> tuple[PackSpec, dict[str, Function]]:
    """A pack whose five agents read lot after lot, a cycle each, and say the same but for a few slots."""
    pack = Pack("survey", tiers=["Read", "Agreed"], answer=list(AREAS), title="Survey")
    pack.key("lot", schema={"type": "integer"}, seed=True, title="Lots", subject_label="Lot")
    for area in AREAS:
        pack.key(area, schema=_READING, title=area.capitalize(), subject_label="Place")
    calls = [_surveyor(voice, lots) for voice in range(VOICES)]
    for voice, say in enumerate(calls):
        say.__name__, say.__doc__ = f"surveyor_{voice + 1}", "Reads a lot."
        writes = [*AREAS, "lot"] if voice == 0 else list(AREAS)
        pack.each("lot", writes=writes, required=True)(say)
    spec = replace(pack.spec(), budget=BOUNDLESS)
    return spec, {agent.name: Function(say) for agent, say in zip(spec.agents, calls, strict=True)}


def _surveyor(voice: int, lots: int) -> Any:
    def say(lot: Fact, view: View) -> list[Proposal]:
        at = lot.value
        said = []
        for place in range(at * FACTS_A_LOT, (at + 1) * FACTS_A_LOT):
            odd = voice == VOICES - 1 and place % ODD == 0
            value = {"score": place % 97 + odd, "label": f"reading {place % 13}"}
            said.append(propose(AREAS[at % len(AREAS)], f"place {place:05}", value, 0.6 + voice / 20))
        if voice == 0 and at + 1 < lots:
            said.append(propose("lot", f"lot {at + 1:03}", at + 1))
        return said

    return say


def record_big_job(lots: int = LOTS) -> Any:
    """The job, run until it waits for people. Its pack is in no row but by name: it is frozen in the job, as always.

    Django is set up by then (see house.py)."""
    import orjson

    from runtime.lease import claim_job
    from runtime.models import Job, JobInput
    from runtime.models import Pack as PackRow
    from runtime.recording import Tenure
    from runtime.worker import drive

    spec, functions = survey(lots)
    row, _ = PackRow.objects.get_or_create(name=spec.name)
    job = Job.objects.create(pack=row, title="A large survey", top_tier=len(spec.tiers))
    seeds = [{"key": "lot", "subject": "lot 000", "value": 0}]
    JobInput.objects.create(
        job=job, spec=orjson.dumps(spec.to_json()).decode(), seeds=orjson.dumps(seeds).decode()
    )
    epoch = claim_job(job.pk, "bench")
    assert epoch is not None
    job.refresh_from_db()
    drive(job, Core(spec), Tenure(job.pk, epoch, "bench"), functions)
    job.refresh_from_db()
    return job
