"""Why a slot shows what it shows, and why nothing else: the one call that pages and commands make."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.engine.spec import PackSpec
from runtime.lineage.grow import Grower
from runtime.lineage.growing import Growing, voice_of
from runtime.lineage.journal import JournalReader
from runtime.lineage.reasons import reasons_of
from runtime.lineage.story import Said, Story, fold_story
from runtime.lineage.told import Lineage, Reason, Slot
from runtime.lineage.why_not import stand_or_ask, tell_why_not
from runtime.models import Answer, Entry, Job
from runtime.store import pack_of

DEPTH, DEEPEST = 4, 40
ROOM = 48  # nodes
VOICES = 8  # of the slot itself, whose premises are followed


def explain_slot(
    job: Job,
    key: str,
    subject: str,
    at: int | None = None,
    depth: int = DEPTH,
    history: Sequence[Entry] | None = None,
) -> Lineage | None:
    """The lineage of one slot as of entry `at` (default: now), None if nothing was ever said in it by then.

    `history` are the slot's entries, where the caller has read them already.
    """
    at = job.entries if at is None else min(at, job.entries)
    depth = max(0, min(depth, DEEPEST))
    reader = JournalReader(job.pk, at)
    if history is None:
        history = reader.story([(key, subject)])[key, subject]
    story = fold_story(key, subject, [entry for entry in history if entry.seq <= at])
    if not any(entry.seq <= at for entry in history):
        return None
    root = root_of(story)
    grower = make_grower(job, pack_of(job), reader, ROOM + 4 * max(0, depth - DEPTH))
    grower.plant(root)
    nodes = grower.grow(depth)
    why_not, more = tell_why_not(story)
    return Lineage(job.pk, at, root.seq, nodes, tuple(why_not), more, depth)


def make_grower(job: Job, pack: PackSpec, reader: JournalReader, room: int) -> Grower:
    """A grower that knows what the newest answer by then called provisional."""
    answers = Answer.objects.filter(job_id=job.pk, seq__lte=reader.at).order_by("-version")
    newest = answers.values_list("marks", "gaps").first() or ((), ())
    marked = {(m["key"], m["subject"]) for m in newest[0] if m.get("provisional")}
    stated = {(g["key"], g["subject"]) for g in newest[1] if g.get("what") == "provisional" and "key" in g}
    return Grower(reader, pack, room, frozenset(marked | stated))


def root_of(story: Story) -> Growing:
    """The slot itself: with all who say what stands or, where nothing stands, with all who say anything."""
    maker = story.maker
    node = Growing(
        seq=maker.seq if maker else 0,
        slot=(story.key, story.subject),
        status=story.status,
        value=story.value if story.status == "fact" else None,
        confidence=story.strength,
        cycle=maker.cycle if maker else 0,
    )
    told = stand_or_ask(story)
    said = [s for raw, voices in story.sides().items() if raw in told for s in voices]
    if story.status == "fact":
        ruled = [] if story.decision is not None or len(story.sides()) < 2 else _rulings_for(story)
        said = [*ruled, *said]
    node.voices = [voice_of(s) for s in said[:VOICES]]
    node.reasons = reasons_of(story)
    if len(said) > VOICES:
        node.reasons.append(Reason("rule", f"and {len(said) - VOICES:,} more voices say so"))
    return node


def _rulings_for(story: Story) -> list[Said]:
    return [said for said in story.rulings.values() if said.raw == story.raw]


def explain_slots(
    job: Job, pack: PackSpec, slots: Sequence[Slot], reader: JournalReader, depth: int = 1
) -> dict[Slot, Lineage]:
    """The lineage of several slots in as many questions to the journal as of one; slots nothing was said in are left
    out."""
    stories = {slot: fold_story(*slot, entries) for slot, entries in reader.story(slots).items() if entries}
    found = {}
    grower = make_grower(job, pack, reader, 12 * len(slots))
    roots = {slot: root_of(story) for slot, story in stories.items()}
    for place, root in enumerate(roots.values(), 1):
        root.seq = root.seq or -place  # where nothing ever stood, no entry names the node
        grower.plant(root)
    nodes = grower.grow(depth) if roots else {}
    for slot, story in stories.items():
        why_not, more = tell_why_not(story)
        found[slot] = Lineage(job.pk, reader.at, roots[slot].seq, nodes, tuple(why_not), more, depth)
    return found
