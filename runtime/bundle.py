"""A job's whole record in one file: what `verify` and `replay` need with no database, and no more (D6.3).

A bundle is one JSON object, written an entry a line so that two of them can be compared line by line:

    {"format": "converge-bundle/2",
     "job":    {"id", "title", "pack", "submitter", "status", "reason", "tier", "cycle", "entries", "digest", ...},
     "pack":   the frozen pack,
     "seeds":  [{"key", "subject", "value", ...}, ...],
     "cycles": [{"number", "first_seq", "last_seq", "digest", "epoch", ..., "entries": [entry, ...]}, ...],
     "signed": {"key", "said", "signature"}}

Entries are the very objects over whose canonical JSON the digests run. The member `signed` is the last line, written
as runtime/signing.py says, for the purpose of the format's name. `said` holds the SHA-256 of all bytes before that line
and the head of the record: job, cycle, entries, digest, input (pack and seeds), engine_version, status, exported_at.
So a bundle of which any byte is changed, added or gone is none any more.

Version 1 is the same without `signed`. It is still read, and written on request: of a record that does not hold, which
nobody should sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import orjson
from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone

from runtime.engine import BoundsError, PackSpec
from runtime.engine.values import load_json
from runtime.head_log import compare_with_heads, has_left
from runtime.models import Job
from runtime.outcome import Ending, compare_outcome
from runtime.record import (
    Chain,
    Line,
    Record,
    RecordBroken,
    RecordCycle,
    cycle_of,
    input_digest,
    job_rows,
    record_of_job,
    summary_of,
)
from runtime.signing import BadSignature, Signed, own_key, read_signed, trusted_keys

__all__ = [
    "BundleAltered",
    "BundleError",
    "Line",
    "Record",
    "RecordBroken",
    "RecordCycle",
    "read_bundle",
    "record_of_job",
    "write_bundle",
]

FORMAT: Final = "converge-bundle/2"
UNSIGNED: Final = "converge-bundle/1"
MOST_READINGS = 20
MAX_BUNDLE_BYTES = 1024 * 1024 * 1024

_SORTED = orjson.OPT_SORT_KEYS
_MEMBERS = {
    UNSIGNED: {"format", "job", "pack", "seeds", "cycles"},
    FORMAT: {"format", "job", "pack", "seeds", "cycles", "signed"},
}
_NUMBERS = ("number", "first_seq", "last_seq", "epoch")
_HEAD = ("cycle", "entries", "digest", "status", "engine_version")
_SEAL, _END = b'"signed":', b"}\n"


class BundleError(ValueError):
    """A file is no bundle, or not one that this version reads. The message is for people, without a full stop."""


class BundleAltered(BundleError):
    """A file is a bundle of which not every byte is as it was signed. The message says what "it" is not."""


def write_bundle(job: Job, sign: bool = True) -> Iterator[str]:
    """The bundle of a job as pieces of text, a cycle each. A job that is still running is written as it stands.

    What is signed is checked on the way: raises RecordBroken where chain or signed heads do not hold, and KeyTrouble
    before the first piece if there is no key to sign with. Unsigned, whatever the rows say is written.

    One that went on since it was read is written as it is now, and `job` left as it is; of one that retention takes
    out meanwhile it raises Job.DoesNotExist.
    """
    try:
        yield from _write(job, sign)
    except (RecordBroken, ObjectDoesNotExist) as error:
        if has_left(job.pk, trusted_keys()):
            raise Job.DoesNotExist(f"job {job.pk} has left: retention keeps it as a bundle") from error
        raise


def _write(job: Job, sign: bool) -> Iterator[str]:
    key = own_key() if sign else None
    if key is not None:
        job = _as_signed(job)
    so_far, ending, every = Chain(), Ending(), hashlib.sha256()
    for piece in _pieces(job, so_far, ending, sign):
        every.update(piece.encode())
        yield piece
    if key is None:
        return
    if (so_far.cycle, so_far.entries, so_far.digest) != (job.cycle, job.entries, job.digest):
        raise RecordBroken(
            f"the summary says cycle {job.cycle}, entry {job.entries}; the journal ends at cycle {so_far.cycle}, "
            f"entry {so_far.entries}, or under another digest"
        )
    compare_outcome(summary_of(job), ending.stop, ending.tier, len(job.frozen_spec()["tiers"]))
    said = {
        "job": job.pk,
        **{name: getattr(job, name) for name in _HEAD},
        "input": input_digest(job.frozen_spec(), orjson.loads(job.seeds)),
        "bytes": every.hexdigest(),
        "exported_at": timezone.now().isoformat(),
    }
    yield f"{_SEAL.decode()}{key.sign(FORMAT, said).decode()}{_END.decode()}"


def _as_signed(job: Job) -> Job:
    """The job, found to fit its signed heads; read again as long as it goes on and is signed meanwhile."""
    trusted = trusted_keys()
    for _ in range(MOST_READINGS):
        try:
            compare_with_heads(job, trusted)
            break
        except RecordBroken:
            now = Job.objects.select_related("pack", "submitter", "input").get(pk=job.pk)
            if now.cycle == job.cycle:
                raise
            job = now
    else:
        raise RecordBroken(f"the job is running, and was further each of {MOST_READINGS} times it was read")
    return job


def _pieces(job: Job, so_far: Chain, ending: Ending, sign: bool) -> Iterator[str]:
    head = {
        "format": FORMAT if sign else UNSIGNED,
        "job": summary_of(job),
        "pack": job.frozen_spec(),
        "seeds": orjson.loads(job.seeds),
    }
    yield "{" + ",\n".join(f'"{name}":{_text(part)}' for name, part in head.items()) + ',\n"cycles":['
    for at, (row, lines) in enumerate(job_rows(job)):
        if sign:
            so_far.add(cycle_of(row, lines))
            for line in lines:
                ending.add(line.body)
        own = _text({**row, "started_at": row["started_at"].isoformat()})
        entries = ",\n".join(line.body.decode() for line in lines)
        yield f'{"," if at else ""}\n{own[:-1]},"entries":[\n{entries}\n]}}'
    yield "\n],\n" if sign else "\n]}\n"


def _text(value: Any) -> str:
    return orjson.dumps(value, option=_SORTED).decode()


def read_bundle(text: bytes, name: str) -> Record:
    """The record in a bundle; `name` is what to call it. Raises BundleError for anything that is none.

    Entries are numbered as the file lists them; whether that fits what the cycles say is for `verify` to tell. Its
    signature was found to fit; whose it is, is another question.
    """
    try:
        data = load_json(text, MAX_BUNDLE_BYTES)
    except BoundsError as error:
        # A signed bundle that is no JSON any more was one before somebody changed it.
        kind = BundleAltered if FORMAT.encode() in text[:100] else BundleError
        raise kind(f"it {error}" if kind is BundleAltered else f"{name} {error}") from None
    if not isinstance(data, dict) or not str(data.get("format", "")).startswith("converge-bundle/"):
        raise BundleError(f'{name} is no bundle: it does not begin with "format": "{FORMAT}"')
    members = _MEMBERS.get(data["format"])
    if members is None:
        raise BundleError(f"{name} is a {data['format']}; this version reads {UNSIGNED} and {FORMAT}")
    if odd := sorted(data.keys() - members):
        raise BundleAltered(f"it holds {odd[0]!r}, which is no part of a {data['format']}")
    seal = _read_seal(text) if data["format"] == FORMAT else None
    try:
        cycles = list(_file_cycles(data["cycles"]))
        pack = PackSpec.from_json(data["pack"])
        if not isinstance(data["seeds"], list) or not isinstance(data["job"], dict):
            raise TypeError("its seeds are no list, or its job is no object")
        if type(data["job"].get("id")) is not int:  # "2" would be no head's job
            raise TypeError("its job has no number")
        begun = input_digest(data["pack"], data["seeds"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{name} lacks a part of a bundle, or one is of the wrong kind: {error}") from None
    if seal is not None:
        _compare_head(seal, data["job"], begun)
    return Record(name, data["job"], pack, data["seeds"], lambda: iter(cycles), begun, seal)


def _read_seal(text: bytes) -> Signed:
    """The last line, once it was found to sign every byte before it."""
    start = text.rfind(b"\n", 0, len(text) - 1) + 1
    last = text[start:]
    if not (last.startswith(_SEAL) and last.endswith(_END)):
        raise BundleAltered("it does not end in the line that signs it")
    try:
        seal = read_signed(FORMAT, last[len(_SEAL) : -len(_END)])
    except BadSignature as error:
        raise BundleAltered(f"it is not what was signed: {error}") from None
    if seal.said.get("bytes") != hashlib.sha256(text[:start]).hexdigest():
        raise BundleAltered("it is not what was signed: its bytes have another SHA-256")
    return seal


def _compare_head(seal: Signed, job: dict[str, Any], begun: str) -> None:
    found = {"job": job.get("id"), **{part: job.get(part) for part in _HEAD}, "input": begun}
    for part, value in found.items():
        if seal.said.get(part) != value:
            raise BundleAltered(f"the signature is for {part} {seal.said.get(part)!r}; it holds {value!r}")
    if not isinstance(seal.said.get("exported_at"), str):
        raise BundleAltered("what is signed does not say when it was exported")


def _file_cycles(rows: list[dict[str, Any]]) -> Iterator[RecordCycle]:
    seq = 0
    for row in rows:
        if not all(type(row[field]) is int for field in _NUMBERS) or not isinstance(row["digest"], str):
            raise TypeError(f"cycle {row['number']} has numbers that are none")
        lines = [
            Line(at, orjson.dumps(entry, option=_SORTED)) for at, entry in enumerate(row["entries"], seq + 1)
        ]
        seq += len(lines)
        yield cycle_of(row, lines)
