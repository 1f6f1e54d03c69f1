"""`manage.py score_claims`: the real job on any claims, beside a truth it never sees."""

import json
from pathlib import Path

import pytest

from runtime.agents import find_pack
from runtime.rehearsal import Rehearsal
from tests.commands.said import call

CLAIMS = """source,object,attribute,value
ann,door,colour,red
ben,door,colour,red
cid,door,colour,blue
ann,roof,colour,red
ben,roof,colour,grey
ann,wall,colour,white
ben,wall,colour,white
"""
TRUTH = "object,attribute,value\ndoor,colour,red\nroof,colour,red\nwall,colour,white\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    claims, truth = tmp_path / "claims.csv", tmp_path / "truth.csv"
    claims.write_text(CLAIMS)
    truth.write_text(TRUTH)
    return str(claims), str(truth)


def score(*arguments: str) -> dict[str, object]:
    said = call("score_claims", *arguments, "--json")
    assert said.status == 0, said.err
    found: dict[str, object] = json.loads(said.out)
    return found


def test_what_is_left_to_people_depends_on_the_margin(files: tuple[str, str]) -> None:
    careful, bold = score(*files, "--margin", "1"), score(*files, "--margin", "0")
    assert (careful["status"], bold["status"]) == ("waiting", "converged")
    assert (careful["left"], careful["settled"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (bold["left"], bold["settled"]) == (0, 1)
    assert careful["accuracy"] == 1
    assert (bold["claims"], bold["sources"], bold["slots"], bold["disputed"], bold["known"]) == (
        7,
        3,
        3,
        2,
        3,
    )


def test_it_is_the_job_itself_that_is_scored(files: tuple[str, str]) -> None:
    pack = find_pack("claims")
    assert pack is not None
    seeds, problems = pack.read_csv(CLAIMS)
    assert not problems
    job = Rehearsal(pack.spec(), [{"key": "setting", "subject": "near-tie margin", "value": 0.0}, *seeds])
    job.run()
    assert score(*files, "--margin", "0")["digest"] == job.core.digest


def test_claims_may_be_json_and_the_truth_may_know_less(tmp_path: Path) -> None:
    claims, truth = tmp_path / "claims.json", tmp_path / "truth.csv"
    row = {"object": "door", "attribute": "colour"}
    claims.write_text(
        json.dumps([{**row, "source": "ann", "value": "red"}, {**row, "source": "ben", "value": "red"}])
    )
    truth.write_text("object,attribute,value\nelsewhere,colour,red\n")
    found = score(str(claims), str(truth))
    assert (found["claims"], found["known"], found["accuracy"]) == (2, 0, 0)


def test_outcome_is_told_in_lines(files: tuple[str, str]) -> None:
    said = call("score_claims", *files, "--margin", "0")
    assert "7 claims by 3 sources on 3 slots, 2 disputed; the truth of 3 is known." in said.out
    assert "left to people     0.0000  (margin 0)" in said.out


@pytest.mark.parametrize(
    ("claims", "truth", "said"),
    [
        ("source,object,attribute,value\nann,door\n", TRUTH, "cannot be scored.\n  line 2: "),
        ("", TRUTH, "is empty"),
        (CLAIMS, "object,value\ndoor,red\n", "The truth has no column 'attribute'."),
        (CLAIMS, None, "truth.csv cannot be read: No such file or directory."),
        (None, TRUTH, "claims.csv cannot be read: No such file or directory."),
    ],
)
def test_input_that_cannot_be_scored_is_said(
    tmp_path: Path, claims: str | None, truth: str | None, said: str
) -> None:
    for name, text in (("claims.csv", claims), ("truth.csv", truth)):
        if text is not None:
            (tmp_path / name).write_text(text)
    found = call("score_claims", str(tmp_path / "claims.csv"), str(tmp_path / "truth.csv"))
    assert (found.status, found.out) == (2, "")
    assert said in found.err


@pytest.mark.parametrize("margin", ["-1", "1.1", "nan", "some"])
def test_margin_must_lie_between_0_and_1(files: tuple[str, str], margin: str) -> None:
    assert "is no number from 0 to 1" in call("score_claims", *files, f"--margin={margin}").err
