"""Trust and beliefs settle at one fixed point, whatever the order, and beat voting where sources differ."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from runtime.packs.claims import score
from runtime.packs.claims.claim import Claim
from runtime.packs.claims.estimate import LAST_ROUND, estimate_beliefs, estimate_trust
from runtime.packs.claims.reading import read_claims_csv
from runtime.packs.claims.score import (
    complete_beliefs,
    count_votes,
    pick_verdict,
    read_truth_csv,
    run_rounds,
    score_verdicts,
)
from runtime.packs.claims.tabulate import tabulate_claims
from runtime.packs.claims.trust import Trust
from tests.packs.claim_worlds import World, always, compare, echo, make_world, measure, right_with, spread

SAMPLES = Path(score.__file__).parent / "samples"

SHARED = {
    "plain": (spread(30, 0.4, 0.95), 150, 5, 3),
    "two labels, sparse": (spread(80, 0.5, 0.95), 150, 4, 2),
    "spammers": ({**spread(16, 0.6, 0.95), **{f"x{i}": always(i % 2) for i in range(9)}}, 150, 7, 2),
    "adversaries": ({**spread(16, 0.6, 0.95), **{f"x{i}": right_with(0.15) for i in range(6)}}, 150, 8, 2),
    "many labels": (spread(30, 0.4, 0.95), 200, 6, 10),
}
OPEN = {
    "plain": (spread(30, 0.3, 0.95), 120, 6, 0),
    "sparse": (spread(90, 0.4, 0.95), 60, 5, 0),
    "spammers": ({**spread(18, 0.4, 0.95), **spread(12, 0.1, 0.1, "x")}, 120, 7, 0),
}


def make_claims(*rows: tuple[str, str, str]) -> list[Claim]:
    return [Claim(source, name, "a", value) for source, name, value in rows]


def read_sample(name: str) -> World:
    claims = read_claims_csv((SAMPLES / f"{name}.csv").read_text("utf-8"))
    assert not claims.problems
    truth = SAMPLES / "truth" / f"{name}.csv"
    return World(claims.claims, read_truth_csv(truth.read_text("utf-8")) if truth.exists() else {})


def check_gain(results: list[tuple[float, float]]) -> None:
    assert sum(ours - voting for voting, ours in results) > 0.01
    assert all(ours > voting - 0.03 for voting, ours in results)


@pytest.mark.parametrize("name", SHARED)
def test_sources_that_differ_on_shared_labels_beat_voting(name):
    check_gain([compare(make_world(seed, *SHARED[name])) for seed in range(4)])


@pytest.mark.parametrize("name", OPEN)
def test_sources_that_differ_on_candidates_of_their_own_beat_voting(name):
    check_gain([compare(make_world(seed, *OPEN[name])) for seed in range(4)])


@pytest.mark.parametrize("labels", [0, 2, 4])
def test_equal_sources_are_no_worse_than_voting(labels):
    results = [compare(make_world(seed, spread(20, 0.65, 0.65), 150, 5, labels)) for seed in range(6)]
    assert sum(ours - voting for voting, ours in results) / len(results) > -0.01
    assert all(ours > voting - 0.04 for voting, ours in results)


def test_plain_confusion_would_collapse_on_polls_and_this_does_not():
    voting, ours = compare(read_sample("polls"))
    assert ours >= voting - 1e-9
    assert ours > 0.915


def test_anomalies_are_found_at_least_as_well_as_by_voting():
    world = read_sample("nab")
    table = tabulate_claims(world.claims)
    found = {}
    for name, beliefs in (("voting", count_votes(table)), ("ours", run_rounds(table).beliefs)):
        verdicts = {slot: pick_verdict(belief) for slot, belief in beliefs.items()}
        found[name] = score_verdicts(table, world.truth, verdicts).f1
    assert found["ours"] >= found["voting"]


def test_a_majority_of_echoes_counts_as_one_voice():
    honest = spread(4, 0.7, 0.9)
    sources = {**honest, **{f"x{i}": echo("x0", 0.4) for i in range(6)}}
    world = make_world(5, sources, 120, 10, 3)
    voting, ours = compare(world)
    assert voting < 0.55
    assert ours > 0.8
    table = tabulate_claims(world.claims)
    assert [[table.sources[i] for i in group] for group in table.echoes] == [[f"x{i}" for i in range(6)]]
    assert run_rounds(table).trust.sources["x3"]["echoes"] == ["x0", "x1", "x2", "x4", "x5"]


def test_good_sources_that_agree_are_no_echoes():
    world = make_world(1, {**spread(8, 0.9, 0.95), **spread(6, 0.5, 0.6, "x")}, 150, 14, 3)
    assert tabulate_claims(world.claims).echoes == ()


def test_forged_confidence_carries_nothing_and_informative_confidence_helps():
    random = Random(3)
    world = make_world(3, spread(20, 0.4, 0.8), 200, 5, 2)
    forged = [replace(c, confidence=0.99) for c in world.claims]
    telling = [
        replace(
            c, confidence=random.uniform(*((0.5, 0.9) if c.label == world.truth[c.subject] else (0.2, 0.6)))
        )
        for c in world.claims
    ]
    meaningless = [replace(c, confidence=random.random()) for c in world.claims]
    _, plain = compare(world)
    assert compare(World(tuple(forged), world.truth))[1] == plain
    assert compare(World(tuple(telling), world.truth))[1] > plain + 0.05
    assert compare(World(tuple(meaningless), world.truth))[1] > plain - 0.02


def test_among_numbers_near_misses_support_each_other():
    rows = [("a", "17"), ("b", "20.0"), ("c", "20.5"), ("d", "21"), ("e", "95")]
    others = [(s, f"other{i}", str(i)) for i in range(9) for s in "abcde"]
    table = tabulate_claims(make_claims(*((s, "o", v) for s, v in rows), *others))
    belief = run_rounds(table).beliefs["o/a"]
    assert pick_verdict(belief).labels[0] in ("20.0", "20.5")
    assert belief["95"] == min(belief.values())


def test_attributes_with_other_labels_are_judged_apart():
    random = Random(1)
    claims = []
    for i in range(60):
        colour, size = random.choice("rgb"), random.choice("SML")
        for s in range(6):
            claims.append(Claim(f"s{s}", f"o{i}", "colour", colour if s < 4 else random.choice("rgb")))
            claims.append(Claim(f"s{s}", f"o{i}", "size", size if s > 1 else random.choice("SML")))
            claims.append(Claim(f"s{s}", f"o{i}", "price", str(i + (s == 5))))
    table = tabulate_claims(claims)
    assert [family.name for family in table.families] == ["", "colour", "size"]
    trust = run_rounds(table).trust
    assert (
        trust.sources["s5"]["says"]["colour"]["r"]["r"] < 0.7 < trust.sources["s5"]["says"]["size"]["S"]["S"]
    )
    assert trust.sources["s5"]["open"] < trust.sources["s0"]["open"]


def test_one_attribute_a_question_is_one_family():
    table = tabulate_claims(read_sample("nab").claims)
    assert [family.labels for family in table.families] == [(), ("anomaly", "normal")]


@pytest.mark.parametrize(
    "claims",
    [
        [],
        make_claims(("s", "o", "x")),
        make_claims(("s", "o", "x"), ("s", "p", "y")),
        make_claims(("s", "o", "x"), ("t", "o", "y")),
        make_claims(*((s, f"o{i}", "x") for s in "stu" for i in range(9))),
        make_claims(*((s, f"o{i}", s) for s in "stu" for i in range(9))),
    ],
    ids=["nothing", "one claim", "one source", "one dispute", "all agree", "all differ"],
)
def test_the_smallest_inputs_settle(claims):
    table = tabulate_claims(claims)
    course = run_rounds(table)
    assert course.settled
    assert set(course.trust.sources) == {claim.source for claim in claims}


def test_a_tie_stays_a_tie():
    course = run_rounds(tabulate_claims(make_claims(("s", "o", "x"), ("t", "o", "y"))))
    assert pick_verdict(course.beliefs["o/a"]).labels == ("x", "y")


def make_courses() -> list[World]:
    worlds = [make_world(seed, *spec) for spec in (*SHARED.values(), *OPEN.values()) for seed in (10, 11)]
    return [*worlds, *(read_sample(name) for name in ("polls", "nab", "severities"))]


def test_the_turns_end_early_in_the_same_place_however_they_are_taken():
    for world in make_courses():
        table = tabulate_claims(world.claims)
        course = run_rounds(table)
        together = run_rounds(table, at_once=True)
        assert course.settled
        assert course.rounds < LAST_ROUND
        assert (course.beliefs, course.trust) == (together.beliefs, together.trust)


def test_a_fixed_point_survives_a_fresh_pass_and_a_journal():
    for world in make_courses()[::3]:
        table = tabulate_claims(world.claims)
        course = run_rounds(table)
        trust = Trust(
            *(json.loads(json.dumps(part)) for part in (course.trust.sources, course.trust.summary))
        )
        beliefs = estimate_beliefs(table, trust, course.beliefs)
        assert complete_beliefs(table, beliefs) == course.beliefs
        assert estimate_trust(table, beliefs, trust) == trust


def test_order_of_claims_does_not_matter():
    for world in make_courses()[::4]:
        claims = list(world.claims)
        Random(4).shuffle(claims)
        assert tabulate_claims(claims) == tabulate_claims(world.claims)


def test_renamed_labels_and_sources_change_nothing_but_names():
    world = make_world(7, *SHARED["plain"])
    names = {"L0": "L2", "L1": "L0", "L2": "L1"}
    renamed = World(
        tuple(replace(c, label=names[c.label]) for c in world.claims),
        {slot: names[label] for slot, label in world.truth.items()},
    )
    assert compare(world)[1] == pytest.approx(compare(renamed)[1], abs=0.01)


DIGEST = """
import hashlib, json
from tests.packs.claim_worlds import make_world, spread
from runtime.packs.claims.score import run_rounds
from runtime.packs.claims.tabulate import tabulate_claims
for labels in (0, 3):
    course = run_rounds(tabulate_claims(make_world(2, spread(20, .4, .9), 80, 5, labels).claims))
    whole = json.dumps([course.beliefs, course.trust.sources, course.trust.summary])
    print(hashlib.sha256(whole.encode()).hexdigest())
"""


def test_hash_seeds_do_not_matter():
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1
    assert len(found.pop().split()) == 2


def test_a_decision_is_certain_and_moves_trust():
    rows = [(s, f"o{i}", "x" if s in "abc" else "y") for i in range(9) for s in "abcde"]
    table = tabulate_claims(make_claims(*rows))
    before = run_rounds(table)
    decided = {f"o{i}/a": "y" for i in range(6)}
    trust, beliefs = before.trust, dict(before.beliefs)
    for _ in range(100):
        new = estimate_trust(table, beliefs, trust, decided), estimate_beliefs(table, trust, beliefs, decided)
        if new == (trust, beliefs):
            break
        trust, beliefs = new
    assert new == (trust, beliefs)
    assert beliefs["o0/a"] == {"y": 1.0}
    assert before.trust.sources["a"]["reliability"] > before.trust.sources["e"]["reliability"]
    assert trust.sources["a"]["reliability"] < trust.sources["e"]["reliability"]
    assert pick_verdict(beliefs["o8/a"]).labels == ("y",)


def test_a_decision_for_what_nobody_claimed_makes_all_claims_wrong():
    table = tabulate_claims(make_claims(*((s, f"o{i}", f"{i}") for s in "ab" for i in range(4))))
    trust = estimate_trust(table, {}, None, {f"o{i}/a": "none of these" for i in range(4)})
    assert trust.sources["a"]["reliability"] < 0.5


def test_trust_waits_for_beliefs_that_answer_it():
    table = tabulate_claims(make_world(1, *SHARED["plain"]).claims)
    start = estimate_beliefs(table, Trust())
    first = estimate_trust(table, start)
    answer = estimate_beliefs(table, first, start)
    second = estimate_trust(table, answer, first)
    assert second != first
    assert estimate_trust(table, start, second) is second


def test_near_ties_are_left_and_score_counts_them():
    table = tabulate_claims(make_claims(("s", "o", "x"), ("t", "o", "y"), ("s", "p", "x"), ("t", "p", "x")))
    verdicts = {slot: pick_verdict(belief) for slot, belief in run_rounds(table).beliefs.items()}
    found = score_verdicts(table, {"o/a": "y", "p/a": "x", "q/a": "x"}, verdicts, margin=0.1)
    assert (found.slots, found.accuracy, found.disputed_accuracy) == (2, 0.75, 0.5)
    assert (found.settled, found.left, found.settled_accuracy, found.f1) == (0.5, 0.5, 1.0, 2 / 3)


def test_score_command_prints_voting_and_the_fixed_point(capsys):
    score.main([str(SAMPLES / "polls.csv"), str(SAMPLES / "truth" / "polls.csv"), "--margin", "0.1"])
    first, voting, ours = capsys.readouterr().out.splitlines()
    assert first.startswith("91 sources, 395 claims")
    assert voting.startswith("plurality slots=62 accuracy=0.9194")
    assert ours.startswith("converged slots=62")


def test_accuracy_of_a_world_that_is_all_true_is_whole():
    world = make_world(1, spread(5, 1, 1), 20, 5, 3)
    table = tabulate_claims(world.claims)
    assert measure(table, world, run_rounds(table).beliefs) == 1
