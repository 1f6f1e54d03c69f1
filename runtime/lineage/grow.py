"""The graph of why, grown level by level from some slots towards their seeds.

However wide a level is, it asks the journal the same few questions; and however deep or wide the whole is, no more than
`depth` levels and `room` nodes are told, the rest is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from runtime.engine.compiled import compile_pack
from runtime.engine.spec import PackSpec
from runtime.lineage.growing import Growing, Voice, node_of, own_statement, speaker_named, voice_of
from runtime.lineage.journal import JournalReader, value_at
from runtime.lineage.reasons import reasons_of
from runtime.lineage.story import fold_story, raw_of, said_of
from runtime.lineage.told import Link, Node, Rest, Slot
from runtime.lineage.words import say_value
from runtime.models import Entry

NAMED = 12  # premises of one statement that are told one by one
FEW = 3  # facts of one key that a run was shown: no more than these are told one by one, of the slot itself NAMED
GROUP = 300  # facts looked through for the members of a group
COMPARED = 400  # slots whose values are compared to tell what has fallen
VIEWS = 8  # views that are read for one graph: each may be of thousands of facts


class Grower:
    """Grows one graph. `provisional` are slots that the newest answer calls so."""

    def __init__(
        self, reader: JournalReader, pack: PackSpec, room: int, provisional: frozenset[Slot] = frozenset()
    ) -> None:
        self.reader = reader
        self.room = room
        self.provisional = provisional
        self.nodes: dict[int, Growing] = {}
        self.views = 0
        plan = compile_pack(pack)
        self.agents = {agent.name: agent for agent in plan.agents}
        self.ruled = {name for name, key in plan.keys.items() if key.resolution or key.approvals}
        written = {key for agent in plan.agents for key in agent.writes}
        self.given = {name for name, key in plan.keys.items() if key.spec.seed and name not in written}
        self.reads = {agent.name: tuple(reads) for agent, reads in zip(plan.agents, plan.reads, strict=True)}

    def plant(self, root: Growing) -> None:
        """Adds a node to grow from."""
        self.nodes[root.seq] = root

    def grow(self, depth: int) -> dict[int, Node]:
        """Follows premises for `depth` levels; gives all nodes by seq in the order found."""
        frontier = list(self.nodes.values())
        for _ in range(depth):
            if not frontier:
                break
            frontier = self._level(frontier)
        for node in frontier:
            for voice in node.voices:
                voice.cut = voice.rests != "ground"
        self._tell_reasons()
        for node in self.nodes.values():
            node.provisional = self._is_provisional(node)
        return {seq: node.freeze() for seq, node in self.nodes.items()}

    def _level(self, frontier: list[Growing]) -> list[Growing]:
        told = [(node, voice) for node in frontier for voice in node.voices if voice.rests != "ground"]
        self._look([voice for _, voice in told])
        repeated = [voice for node, voice in told if voice.fell and not node.fallen]
        if repeated and self._find_repeated(repeated):
            self._look([voice for voice in repeated if voice.again])
        found = [node for parent, voice in told for node in self._follow(parent, voice)]
        self._fill(found)
        return found

    # ---- what voices rest on, and what of it has fallen

    def _look(self, voices: list[Voice]) -> None:
        """Reads the views and named premises of these voices, and which of them do not stand any more."""
        bounds = self.reader.bounds({v.shown_in for v in voices if v.rests == "shown"})
        for voice in voices:
            if voice.rests == "shown":
                self._read_view(voice, bounds.get(voice.shown_in, 0))
        entries = self.reader.entries(seq for v in voices for seq in (*v.named[:NAMED], *v.own))
        before: dict[Slot, list[tuple[Voice, int]]] = {}
        for voice in voices:
            for seq in (*voice.named[:NAMED], *voice.own):
                if seq in entries:
                    before.setdefault((entries[seq].key, entries[seq].subject), []).append((voice, seq))
        now = self.reader.makers(before.keys())
        viewing = [(voice, voice.view) for voice in voices if voice.view is not None]
        for slot, changed in self._changed_in_views(voices).items():
            for voice, view in viewing:
                stood = view.seq_of(slot)
                if stood is not None and stood < changed:
                    before.setdefault(slot, []).append((voice, stood))
                    now[slot] = changed
        self._compare(before, now)

    def _changed_in_views(self, voices: list[Voice]) -> dict[Slot, int]:
        views = [voice.view for voice in voices if voice.view is not None]
        if not views:
            return {}
        return self.reader.changed({k for v in views for k in v.keys}, min(v.bound for v in views))

    def _compare(self, before: Mapping[Slot, list[tuple[Voice, int]]], now: Mapping[Slot, int]) -> None:
        """A premise has fallen where another value stands; one that changed beyond COMPARED counts as fallen."""
        moved = {slot: rows for slot, rows in before.items() if any(seq != now.get(slot) for _, seq in rows)}
        compared = dict(list(moved.items())[:COMPARED])
        seqs = {seq for rows in compared.values() for _, seq in rows} | {now[s] for s in compared if s in now}
        entries = self.reader.entries(seqs)
        fell: dict[Voice, set[Slot]] = {}
        for slot, rows in moved.items():
            status, value = value_at(entries.get(now.get(slot, 0)))
            for voice, seq in rows:
                is_same = slot in compared and status == "fact" and raw_of(value) == _raw(entries[seq])
                if seq != now.get(slot) and not is_same:
                    fell.setdefault(voice, set()).add(slot)
        for voice, slots in fell.items():
            voice.fell |= slots

    def _read_view(self, voice: Voice, bound: int) -> None:
        agent = self.agents.get(voice.said.agent)
        keys = self.reads.get(voice.said.agent, ())
        is_new = not self.reader.is_read(bound, keys)
        if agent is None or (is_new and self.views >= VIEWS):
            voice.cut = True
            return
        self.views += is_new
        voice.view = self.reader.view(bound, keys)
        if agent.over and agent.shape in ("each", "grouped"):
            over = self.reader.view(bound, (agent.over,)).heads[agent.over]
            voice.own = self._own_facts(voice, agent.group_by, over)

    def _own_facts(self, voice: Voice, group_by: str, over: Mapping[str, int]) -> tuple[int, ...]:
        item = voice.said.item
        if not group_by:
            return (over[item],) if item in over else ()
        some = list(over.values())[:GROUP]
        entries = self.reader.entries(some)
        return tuple(seq for seq in some if _group_of(entries[seq], group_by) == item)[:NAMED]

    def _find_repeated(self, voices: list[Voice]) -> bool:
        """What fell may have been shown again to a later run that repeated its statement unchanged: that leaves no
        entry of its own, but rests on what the later run was shown (D3.5)."""
        later = self.reader.runs_after(
            {voice.said.agent for voice in voices}, min(voice.said.cycle for voice in voices)
        )
        for voice in voices:
            runs = [run for run in later[voice.said.agent] if run.cycle > voice.said.cycle]
            _repeat(voice, runs)
        return any(voice.again for voice in voices)

    # ---- from a voice to the nodes it rests on

    def _follow(self, parent: Growing, voice: Voice) -> list[Growing]:
        found: list[Growing] = []
        named = [*voice.own, *voice.named[:NAMED]]
        if voice.view is not None:
            for key, heads in voice.view.heads.items():
                fallen = sorted(subject for of, subject in voice.fell if of == key and subject in heads)
                picks = self._pick(heads, fallen, {parent.slot[1], voice.said.item} - {""}, parent.depth)
                named += picks
                if len(heads) > len(picks):
                    more = len(heads) - len(picks)
                    voice.rest.append(Rest(key, len(heads), more, len(fallen), key in self.given))
        if len(voice.named) > NAMED:
            voice.rest.append(Rest("", len(voice.named), len(voice.named) - NAMED))
        entries = self.reader.entries(named)
        for seq in dict.fromkeys(named):
            node = self._link(parent, voice, seq, entries.get(seq))
            if node is not None:
                found.append(node)
        return found

    def _pick(self, heads: Mapping[str, int], fallen: list[str], about: set[str], depth: int) -> list[int]:
        """The facts of a key worth telling one by one: all if they are few; else what has fallen, and what is about
        the same thing by its name."""
        most = FEW if depth else NAMED
        chosen = dict.fromkeys([*fallen, *(name for name in sorted(about) if name in heads)])
        alike = (s for s in heads if len(heads) <= most or any(name in s for name in about))
        chosen |= dict.fromkeys(islice(alike, most))
        room = min(most, max(0, self.room - len(self.nodes)))
        return [heads[subject] for subject in list(chosen)[:room]]

    def _link(self, parent: Growing, voice: Voice, seq: int, entry: Entry | None) -> Growing | None:
        if entry is None or not entry.now:
            voice.links.append(Link(seq, "gone"))
            return None
        slot = (entry.key, entry.subject)
        if parent.has_above(slot):
            voice.links.append(Link(seq, "back", *slot))
            return None
        if seq in self.nodes:
            voice.links.append(Link(seq, "seen", *slot))
            return None
        if len(self.nodes) >= self.room:
            voice.cut = True
            return None
        node = node_of(entry)
        node.depth, node.parent = parent.depth + 1, parent
        node.fallen = slot in voice.fell
        self.nodes[seq] = node
        voice.links.append(Link(seq, "node", *slot))
        return node

    def _fill(self, found: list[Growing]) -> None:
        """Adds to new nodes who says what they show, and to fallen ones what their slot shows now."""
        entries = self.reader.entries(node.seq for node in found)
        named = {}
        for node in found:
            said = own_statement(entries[node.seq])
            name = None if said else speaker_named(entries[node.seq])
            if said is not None:
                node.voices.append(voice_of(said))
            elif name is not None:
                named[node.seq] = (*name, node.slot, node.seq)
        spoken = self.reader.statements(list(named.values()))
        for seq, (agent, item, slot, _) in named.items():
            if (agent, item, slot) in spoken:
                self.nodes[seq].voices.append(voice_of(said_of(spoken[agent, item, slot])))
        fallen = [node for node in found if node.fallen]
        now = self.reader.makers({node.slot for node in fallen})
        entries = self.reader.entries(now.values())
        for node in fallen:
            node.now = say_now(entries.get(now.get(node.slot, 0)))

    def _tell_reasons(self) -> None:
        """Why what still stands stands, where rules are set: who spoke first stood before anybody was asked, and the
        rules were asked when others spoke. One pass over the journal for the whole graph."""
        asked = {
            node.slot: node
            for node in self.nodes.values()
            if node.depth and node.status == "fact" and not node.fallen and node.slot[0] in self.ruled
        }
        for slot, entries in self.reader.story(asked).items():
            asked[slot].reasons = reasons_of(fold_story(*slot, entries))

    def _is_provisional(self, node: Growing) -> bool:
        """Called so by the newest answer, or plain from the graph: all who say it rest on something that fell."""
        if node.fallen or node.status != "fact" or any(r.kind == "decision" for r in node.reasons):
            return False
        if node.slot in self.provisional:
            return True
        return node.depth == 0 and bool(node.voices) and all(self._is_shaken(v) for v in node.voices)

    def _is_shaken(self, voice: Voice) -> bool:
        slots = {(link.key, link.subject) for link in voice.links if link.kind != "back"}
        return bool(voice.fell) or bool(slots & self.provisional)


def _repeat(voice: Voice, runs: Iterable[Entry]) -> None:
    """Lets a voice rest on what the newest run was shown that said the same again."""
    name = (voice.said.item, *voice.said.slot)
    for run in runs:
        body = run.data
        if body.get("silenced") or any((f.get("item") or "") == name[0] for f in body.get("failed", ())):
            continue
        for row in body.get("rebased", ()):
            if (row["item"] or "", row["key"], row["subject"]) == name:
                _rebase(voice, run.cycle, row["because"])
                return
        if voice.rests == "shown":
            _rebase(voice, run.cycle, None)
            return


def _rebase(voice: Voice, cycle: int, because: list[int] | None) -> None:
    voice.again, voice.fell, voice.view, voice.own = True, frozenset(), None, ()
    voice.rests = "shown" if because is None else "named"
    voice.shown_in, voice.named = cycle, tuple(because or ())


def _group_of(entry: Entry, field: str) -> str | None:
    value = entry.data.get("value")
    member = value.get(field) if isinstance(value, dict) else None
    return member if isinstance(member, str) or member is None else raw_of(member).decode()


def _raw(entry: Entry) -> bytes | None:
    return raw_of(entry.data.get("value")) if entry.now == "fact" else None


def say_now(entry: Entry | None) -> str:
    """What a slot shows now, for a premise that fell."""
    status, value = value_at(entry)
    if status == "fact":
        return f"{say_value(value)} stands there now (#{entry.seq})" if entry else ""
    return {
        "contested": "it is contested now",
        "held": "a value waits for approval there now",
    }.get(status, "nothing stands there now")
