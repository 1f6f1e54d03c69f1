"""Samples are files beside the pack; one of them is taken by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.agents import DeclarationError, Pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.json").write_text('[{"key": "pet", "subject": "rex", "value": 1}]')
    (tmp_path / "a.csv").write_text("subject,value\ntom,2\n")
    (tmp_path / "notes.txt").write_text("not a sample")
    return tmp_path


def pets(folder: Path | None, sample: str = "") -> Pack:
    pack = Pack("pets", samples=folder, sample=sample)
    pack.key("pet", seed=True)
    return pack


def test_the_first_sample_is_taken_unless_another_is_named(folder: Path) -> None:
    assert list(pets(folder).samples()) == ["a", "b"]
    assert pets(folder).sample_seeds() == [{"key": "pet", "subject": "tom", "value": 2}]
    assert pets(folder, "b").sample_seeds()[0]["subject"] == "rex"
    assert pets(folder, "b").sample_seeds("a")[0]["subject"] == "tom"


def test_a_pack_may_ship_none() -> None:
    assert pets(None).sample_seeds() == []


def test_a_sample_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    with pytest.raises(DeclarationError, match="no sample 'c'; it has a, b"):
        pets(folder).sample_seeds("c")


def test_a_broken_sample_is_told_by_line(folder: Path) -> None:
    (folder / "a.csv").write_text("subject,confidence,value\ntom,sure,2\n")
    with pytest.raises(DeclarationError, match=r"a.csv, line 2: 'sure'"):
        pets(folder).sample_seeds()


def test_a_csv_reader_of_its_own_is_asked() -> None:
    pack = Pack("pets", csv_reader=lambda text: ([{"key": "pet", "subject": text, "value": 0}], []))
    assert pack.read_csv("rex")[0][0]["subject"] == "rex"
