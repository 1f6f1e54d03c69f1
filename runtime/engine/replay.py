"""From a journal back to the engine: the recorded effects and decisions are merged again under the recorded pack, and
must reach the same digests (D6.3). No agent is run and nothing outside is asked.

This is also how a runtime takes a job up again: what was committed is merged anew, and checked on the way (D7.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runtime.engine.closing import Stop
from runtime.engine.core import Commit, Core
from runtime.engine.eligible import Run
from runtime.engine.inputs import Call, Effect, Failure, InboxRow, Malformed, Proposal, Seed
from runtime.engine.log import GENESIS, OUTCOMES, Entry, chain
from runtime.engine.spec import PackSpec
from runtime.engine.state import Candidate
from runtime.engine.values import THOUSAND, canonical, parse
from runtime.engine.versions import ENGINE_VERSION


class ReplayError(ValueError):
    """The record does not hold: where, and what differs."""


class RecordedCycle(NamedTuple):
    """One cycle as it was written down: bodies are canonical JSON, in order of seq."""

    number: int
    first_seq: int
    digest: str
    bodies: list[bytes]


def verify_chain(cycles: Iterable[RecordedCycle]) -> str:
    """Recomputes the chain; gives the last digest. Raises ReplayError at the first cycle that does not hold."""
    previous, seq = GENESIS, 1
    for at, cycle in enumerate(cycles, 1):
        if cycle.number != at:
            raise ReplayError(f"cycle {at} is missing; cycle {cycle.number} follows")
        if cycle.first_seq != seq:
            raise ReplayError(f"cycle {at} should begin with entry {seq}, not {cycle.first_seq}")
        found = chain(previous, cycle.bodies)
        if found != cycle.digest:
            raise ReplayError(
                f"cycle {at}: its entries give the digest {found[:12]}…, recorded is {cycle.digest[:12]}…"
            )
        previous, seq = cycle.digest, seq + len(cycle.bodies)
    return previous


def replay(pack: PackSpec, cycles: Iterable[RecordedCycle], engine_version: int = ENGINE_VERSION) -> Core:
    """An engine in the state the record ends in. Raises ReplayError at the first cycle that merges differently."""
    core = Core(pack, engine_version)
    facts: dict[int, tuple[str, str]] = {}
    for cycle in cycles:
        commit = replay_cycle(core, cycle, facts)
        if (
            commit.number != cycle.number
            or commit.first_seq != cycle.first_seq
            or commit.digest != cycle.digest
        ):
            raise ReplayError(_difference(commit, cycle))
        _note_facts(facts, commit.entries, commit.first_seq)
    return core


def _note_facts(facts: dict[int, tuple[str, str]], entries: list[Entry], first_seq: int) -> None:
    for at, entry in enumerate(entries, first_seq):
        if entry.now == "fact":
            facts[at] = (entry.key, entry.subject)


def _difference(commit: Commit, cycle: RecordedCycle) -> str:
    for at, (entry, body) in enumerate(zip(commit.entries, cycle.bodies, strict=False)):
        if entry.body != body:
            seq = cycle.first_seq + at
            return f"entry {seq}: merging again gives {entry.body.decode()[:300]}, recorded is {body.decode()[:300]}"
    if (len(commit.entries), commit.first_seq) == (len(cycle.bodies), cycle.first_seq):
        return f"cycle {cycle.number}: merging again gives the digest {commit.digest}, recorded is {cycle.digest}"
    return (
        f"cycle {cycle.number}: merging again gives {len(commit.entries)} entries from {commit.first_seq}, "
        f"recorded are {len(cycle.bodies)} from {cycle.first_seq}"
    )


def replay_cycle(core: Core, cycle: RecordedCycle, facts: dict[int, tuple[str, str]]) -> Commit:
    """Merges one recorded cycle again. `facts` names the slot of each entry since which a fact stood.

    What came from outside stands at once, so the runs of the same cycle may rest on it: it is added to `facts`.
    """
    bodies = [parse(body) for body in cycle.bodies]
    if not all(isinstance(body, dict) and "kind" in body for body in bodies):
        raise ReplayError(f"cycle {cycle.number} holds an entry that is no entry")
    runs = core.begin(_outside_rows(bodies))
    _note_facts(facts, core.ledger.log.entries, cycle.first_seq)
    recorded = _Recorded(core, bodies, facts)
    effects = [recorded.effect(run) for run in runs]
    return core.finish(effects, stop=_outside_stop(bodies))


def _outside_rows(bodies: list[dict[str, Any]]) -> list[Seed | InboxRow]:
    rows: list[Seed | InboxRow] = []
    for body in bodies:
        if body["kind"] == "inbox":
            rows.append(_inbox_row(body))
        elif body.get("agent") == "@seed" and body["kind"] in OUTCOMES:
            value = body.get("value")
            conf = body.get("conf", THOUSAND) / THOUSAND
            rows.append(
                Seed(
                    int(body["item"]),
                    body.get("key", ""),
                    body.get("subject", ""),
                    value,
                    conf,
                    body.get("evidence"),
                )
            )
    return rows


def _inbox_row(body: Mapping[str, Any]) -> InboxRow:
    asks = body["act"] in ("decide", "add_fact") and not body.get("none")
    return InboxRow(
        id=body["row"],
        act=body["act"],
        by=body["by"],
        key=body.get("key", ""),
        subject=body.get("subject", ""),
        value=body.get(
            "choice", float("nan") if asks else None
        ),  # what could not be written down is refused again
        none=body.get("none", False),
        confidence=body.get("sure", THOUSAND) / THOUSAND,
        version=body.get("version", ""),
        reason=body.get("reason", ""),
        groups=tuple(body.get("groups", ())),
        on=body.get("on", ""),
    )


def _outside_stop(bodies: list[dict[str, Any]]) -> Stop | None:
    """A stop that came from outside the engine (it says so) is an input of the cycle."""
    last = bodies[-1] if bodies else {}
    if last.get("kind") != "stop" or not any(cause.get("outside") for cause in last["causes"]):
        return None
    return Stop(last["reason"], last["causes"])


class _Recorded:
    """What the voices of one cycle returned, read back from its entries."""

    def __init__(
        self, core: Core, bodies: list[dict[str, Any]], facts: Mapping[int, tuple[str, str]]
    ) -> None:
        self.core = core
        self.facts = facts
        self.said: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        self.withdrawn: set[tuple[str, str | None, str, str]] = set()
        self.failed: dict[tuple[str, str | None], Failure] = {}
        self.calls: dict[tuple[str, str | None], list[Call]] = {}
        self.abstained: set[tuple[str, str]] = set()
        self.rebased: dict[tuple[str, str | None, str, str], Any] = {}
        for body in bodies:
            self._read(body)

    def _read(self, body: dict[str, Any]) -> None:
        kind, agent, item = body["kind"], body.get("agent", ""), body.get("item")
        if kind == "run":
            for row in body.get("failed", ()):
                failure = Failure(row["cls"], row["message"], row["transient"], row.get("tool", ""))
                self.failed[agent, row.get("item")] = failure
            for row in body.get("calls", ()):
                told = {name: value for name, value in row.items() if name != "item"}
                self.calls.setdefault((agent, row.get("item")), []).append(Call(attempts=0, **told))
            self.abstained.update((agent, i) for i in body.get("abstained", ()))
            for row in body.get("rebased", ()):
                self.rebased[agent, row["item"], row["key"], row["subject"]] = row["because"]
        elif kind in OUTCOMES:
            self.said.setdefault((agent, item), []).append(body)
        elif kind == "withdrawn" and not body.get("unfounded"):
            self.withdrawn.add((agent, item, body["key"], body["subject"]))

    def effect(self, run: Run) -> Effect:
        """The effect of one run: what changed is in the entries, what it repeated is what it said before."""
        name = (run.agent.name, run.item)
        calls = self.calls.get(name, ())
        if name in self.failed:
            return Effect(*name, failure=self.failed[name], calls=calls)
        changed = [self._proposal(body) for body in self.said.get(name, ())]
        if run.agent.shape == "aggregate":
            return Effect(*name, changed or self._repeated_ruling(run), None, calls)
        spoken = {(p.key, p.subject) for p in changed}
        return Effect(*name, [*self._repeated(run, spoken), *changed], None, calls)

    def _repeated(self, run: Run, spoken: set[tuple[str, str]]) -> Iterator[Proposal]:
        for slot, cand in run.voice.said.items():
            named = (slot.key, slot.subject)
            name = (run.agent.name, run.item, *named)
            # What an appending agent leaves unsaid stays; said again it might be refused by now.
            is_said = name in self.rebased if run.agent.append else name not in self.withdrawn
            if is_said and named not in spoken:
                yield self._again(run, cand)

    def _again(self, run: Run, cand: Candidate) -> Proposal:
        slot = cand.slot
        name = (run.agent.name, run.item, slot.key, slot.subject)
        because: Any = None
        if name in self.rebased:
            because = self._slots(self.rebased[name])
        elif run.agent.append or not cand.premises.default:
            because = [(s.key, s.subject) for s, _ in cand.premises.pairs] if cand.premises.hold() else None
        evidence = parse(cand.evidence) if cand.evidence else None
        return Proposal(slot.key, slot.subject, parse(cand.raw), cand.conf / THOUSAND, evidence, because)

    def _repeated_ruling(self, run: Run) -> list[Proposal]:
        """A ruling made again leaves no entry; an abstention is named in the run's."""
        key, subject = run.agent.over, run.item or ""
        desk = self.core.ledger.keys[key].slots[subject].desk
        ruling = desk.rulings.get(run.voice.at) if desk is not None else None
        if (run.agent.name, subject) in self.abstained or ruling is None or ruling.raw is None:
            return []
        because = self.rebased.get((run.agent.name, run.item, key, subject))
        return [Proposal(key, subject, parse(ruling.raw), ruling.conf / THOUSAND, None, self._slots(because))]

    def _proposal(self, body: dict[str, Any]) -> Proposal | Malformed:
        evidence = body.get("evidence")
        if body.get("malformed"):
            raw = canonical(body["value"]) if "value" in body else None
            proof = canonical(evidence) if evidence else b""
            return Malformed(
                body["reason"], body.get("key", ""), body.get("subject", ""), raw, body.get("conf"), proof
            )
        because = self._slots(body.get("because"))
        return Proposal(
            body["key"], body["subject"], body["value"], body["conf"] / THOUSAND, evidence, because
        )

    def _slots(self, seqs: list[int] | None) -> list[tuple[str, str]] | None:
        if seqs is None:
            return None
        try:
            return [self.facts[seq] for seq in seqs]
        except KeyError as missing:
            raise ReplayError(f"a statement rests on entry {missing}, since which no fact stood") from None
