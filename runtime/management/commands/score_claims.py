"""`manage.py score_claims`: what the pack `claims` makes of any claims, beside a known truth."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.agents import find_pack
from runtime.agents.seeds import Seeds
from runtime.management.scoring import BAD_INPUT, number_between, read_text_file, refuse_file
from runtime.packs.claims.claim import claim_from_seed, claims_to_seeds, to_label
from runtime.packs.claims.pack import MARGIN
from runtime.packs.claims.reading import read_claims_csv, read_claims_json
from runtime.packs.claims.score import (
    Score,
    Verdict,
    complete_beliefs,
    count_votes,
    pick_verdict,
    read_truth_csv,
    score_verdicts,
)
from runtime.packs.claims.tabulate import tabulate_claims
from runtime.rehearsal import Rehearsal


@dataclass(frozen=True)
class Outcome:
    """How a job on claims ended. `settled` is the share of the slots in the truth that show a verdict, `left` the share
    left to people, `accuracy` that of the settled ones; `likeliest` and `plurality` score every slot, ties as split."""

    status: str
    cycles: int
    digest: str
    seconds: float
    margin: float
    sources: int
    claims: int
    slots: int
    disputed: int
    known: int
    settled: float
    left: float
    accuracy: float
    likeliest: Score
    plurality: Score


class Command(BaseCommand):
    help = (
        "Runs the job of the pack `claims` on CLAIMS, in memory, and compares its verdicts with TRUTH (CSV with the "
        "columns object, attribute, value). --margin 0 leaves nothing to people."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("claims", metavar="CLAIMS", type=Path, help="claims, CSV or JSON")
        parser.add_argument("truth", metavar="TRUTH", type=Path, help="the truth, CSV; used for scoring only")
        parser.add_argument(
            "--margin",
            metavar="M",
            type=number_between(0, 1),
            default=MARGIN,
            help=f"near-tie margin (default {MARGIN:g})",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        seeds = read_claims(options["claims"])
        truth = read_text_file(options["truth"], _read_truth)
        outcome = score_job(seeds, truth, options["margin"])
        if options["json"]:
            self.stdout.write(orjson.dumps(asdict(outcome)).decode())
        else:
            self.stdout.write("\n".join(tell(outcome)))


def read_claims(path: Path) -> Seeds:
    """The claims in a file as seeds. Raises CommandError (exit status 2) with the lines that cannot be read."""
    read = read_claims_json if path.suffix.lower() == ".json" else read_claims_csv
    reading = read_text_file(path, read)
    if reading.problems:
        raise refuse_file(path, map(str, reading.problems))
    return claims_to_seeds(reading.claims)


def _read_truth(text: str) -> dict[str, str]:
    try:
        return read_truth_csv(text)
    except KeyError as missing:
        raise CommandError(f"The truth has no column {missing}.", returncode=BAD_INPUT) from None


def score_job(seeds: Seeds, truth: dict[str, str], margin: float) -> Outcome:
    """Runs the job on the engine, as a worker would, and scores what stands under `verdict` when it stops."""
    pack = find_pack("claims")
    assert pack is not None
    began = time.perf_counter()
    job = Rehearsal(pack.spec(), [{"key": "setting", "subject": "near-tie margin", "value": margin}, *seeds])
    stop = job.run()
    seconds = time.perf_counter() - began
    table = tabulate_claims(claim_from_seed(seed["value"]) for seed in seeds)
    facts = job.core.facts()
    stands = {fact.subject: to_label(fact.value) for fact in facts if fact.key == "verdict"}
    beliefs = complete_beliefs(table, {fact.subject: fact.value for fact in facts if fact.key == "belief"})
    known = [slot.subject for slot in table.slots if slot.subject in truth]
    settled = [subject for subject in known if subject in stands]
    right = sum(stands[subject] == truth[subject] for subject in settled)
    return Outcome(
        status=stop.reason,
        cycles=len(job.commits),
        digest=job.core.digest,
        seconds=round(seconds, 2),
        margin=margin,
        sources=len(table.sources),
        claims=len(seeds),
        slots=len(table.slots),
        disputed=sum(slot.disputed for slot in table.slots),
        known=len(known),
        settled=len(settled) / len(known) if known else 0.0,
        left=1 - len(settled) / len(known) if known else 0.0,
        accuracy=right / len(settled) if settled else 0.0,
        likeliest=score_verdicts(table, truth, _verdicts(beliefs)),
        plurality=score_verdicts(table, truth, _verdicts(count_votes(table))),
    )


def _verdicts(beliefs: Any) -> dict[str, Verdict]:
    return {subject: pick_verdict(belief) for subject, belief in beliefs.items()}


def tell(outcome: Outcome) -> list[str]:
    """The outcome in lines for people."""
    return [
        f"{outcome.claims:,} claims by {outcome.sources:,} sources on {outcome.slots:,} slots, "
        f"{outcome.disputed:,} disputed; the truth of {outcome.known:,} is known.",
        f"The job stopped {outcome.status} after {outcome.cycles} cycles, {outcome.seconds:.1f} s.",
        f"settled            {outcome.settled:.4f}  accuracy {outcome.accuracy:.4f}",
        f"left to people     {outcome.left:.4f}  (margin {outcome.margin:g})",
        f"likeliest of all   {_tell_score(outcome.likeliest)}",
        f"plurality of all   {_tell_score(outcome.plurality)}",
    ]


def _tell_score(score: Score) -> str:
    f1 = "" if score.f1 is None else f", F1 of the rarer label {score.f1:.4f}"
    return f"{score.accuracy:.4f}  on disputed slots {score.disputed_accuracy:.4f}{f1}"
