"""A bundle of which any byte is changed, added or gone is found out, whoever changes it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from runtime.bundle import BundleError, RecordBroken, read_bundle, write_bundle
from runtime.models import Job
from runtime.verifying import verify_record
from tests.commands.said import call
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db

ALTERATIONS = 1000
SEED = 20_260_307


def holds(bundle: bytes) -> bool:
    """What `verify FILE` asks of a file, in this process."""
    try:
        verify_record(read_bundle(bundle, "the bundle"))
    except (BundleError, RecordBroken):
        return False
    return True


def alter(bundle: bytes, dice: random.Random) -> tuple[str, bytes]:
    """One byte flipped, taken out or put in, anywhere; and what was done, for the message of a failure."""
    at, how = dice.randrange(len(bundle)), dice.choice(["flip", "delete", "insert", "blank"])
    if how == "delete":
        return f"byte {at} taken out", bundle[:at] + bundle[at + 1 :]
    if how == "flip":
        new = bundle[at] ^ dice.randrange(1, 256)
        return f"byte {at} made {new}", bundle[:at] + bytes([new]) + bundle[at + 1 :]
    new = dice.choice(b" \n\t\r") if how == "blank" else dice.randrange(256)
    at = dice.randrange(len(bundle) + 1)  # behind the last one, too
    return f"{new} put in at {at}", bundle[:at] + bytes([new]) + bundle[at:]


def test_a_thousand_random_alterations_are_all_found(bundle: bytes) -> None:
    assert holds(bundle)
    dice = random.Random(SEED)
    passed = []
    for _ in range(ALTERATIONS):
        what, altered = alter(bundle, dice)
        if altered != bundle and holds(altered):
            passed.append(what)
    assert passed == []


def test_every_byte_of_the_line_that_signs_is_held(bundle: bytes) -> None:
    """Most of a bundle is not its signature, so chance would seldom fall there."""
    start = bundle.rindex(b"\n", 0, -1)
    for at in range(start, len(bundle)):
        for altered in (
            bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :],
            bundle[:at]
            + bytes([bundle[at] ^ 32])
            + bundle[at + 1 :],  # another case: 0xAB and 0xab are one number
            bundle[:at] + bundle[at + 1 :],
            bundle[:at] + b" " + bundle[at:],
        ):
            assert not holds(altered), f"byte {at}"


def test_the_command_says_so_and_its_status_is_1(bundle: bytes, tmp_path: Path) -> None:
    path, dice = tmp_path / "bundle.json", random.Random(SEED)
    path.write_bytes(bundle)
    assert call("verify", str(path)).status == 0
    for _ in range(25):
        what, altered = alter(bundle, dice)
        path.write_bytes(altered)
        for command in ("verify", "replay"):
            said = call(command, str(path))
            assert said.status in (1, 2) and said.out == "" and said.err, (command, what)


def test_a_bundle_cut_off_anywhere_is_found(bundle: bytes) -> None:
    ends = [at + 1 for at, byte in enumerate(bundle) if byte == 10]
    assert len(ends) > 30
    for end in (0, 1, *ends[:-1], len(bundle) - 1):
        assert not holds(bundle[:end]), end


def test_lines_taken_out_doubled_or_in_another_order_are_found(bundle: bytes) -> None:
    lines = bundle.splitlines(keepends=True)
    for at in range(len(lines)):
        assert not holds(b"".join(lines[:at] + lines[at + 1 :])), f"line {at} taken out"
        assert not holds(b"".join(lines[: at + 1] + lines[at:])), f"line {at} twice"
        if at and lines[at] != lines[at - 1]:
            swapped = [*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]]
            assert not holds(b"".join(swapped)), f"lines {at - 1} and {at} swapped"


def test_a_signature_from_another_bundle_does_not_fit(bundle: bytes) -> None:
    other = "".join(write_bundle(run(submit("panel", PANEL_SEEDS[:1])))).encode()
    assert holds(other)
    for body, seal in ((bundle, other), (other, bundle)):
        assert not holds(body[: body.rindex(b"\n", 0, -1) + 1] + seal[seal.rindex(b"\n", 0, -1) + 1 :])


def test_an_earlier_signature_of_the_same_job_does_not_fit(job: Job) -> None:
    first, second = ("".join(write_bundle(job)).encode() for _ in range(2))
    assert first != second  # the moment of the export is signed with it
    start = first.rindex(b"\n", 0, -1) + 1
    assert first[:start] == second[:start]
    assert holds(first[:start] + second[start:])  # the same bytes, signed twice: either signature is one
    assert not holds(first[:start].replace(b"lenient", b"Lenient") + second[start:])


def test_written_anew_it_is_not_the_same_bundle(bundle: bytes) -> None:
    data = json.loads(bundle)
    assert not holds(json.dumps(data).encode())
    assert not holds(bundle.replace(b'"format":', b'"format": ', 1))


def test_calling_itself_unsigned_does_not_help(bundle: bytes) -> None:
    assert not holds(bundle.replace(b"converge-bundle/2", b"converge-bundle/1", 1))
    assert not holds(bundle.replace(b"converge-bundle/2", b"converge-bundle/3", 1))


def test_every_alteration_is_found_by_the_signature_and_not_by_chance(bundle: bytes, job: Job) -> None:
    """Without a signature many a byte can be changed: a check that would never fail proves nothing."""
    unsigned = "".join(write_bundle(job, sign=False)).encode()
    dice = random.Random(SEED)
    unseen = sum(holds(altered) for _, altered in (alter(unsigned, dice) for _ in range(200)))
    assert unseen > 5
