"""The README's commands, settings, statuses and example hold against the code."""

import re
import types
from pathlib import Path
from typing import Any

from django.core.management import get_commands

from runtime.agents import functions_for, run_all
from runtime.engine import Core, Seed
from runtime.models import JobStatus

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_it_names_exists() -> None:
    table = README.split("| command")[1].split("\n\n")[0]
    named = {
        name for cell in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`([a-z_]+)", cell)
    }
    assert {"up", "submit", "journal", "verify", "replay", "export", "score_claims"} <= named
    assert named <= set(get_commands())


def test_every_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^    |`)make ([a-z]+)", README, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_it_names_every_setting_and_no_other() -> None:
    settings = (ROOT / "converge_site" / "settings.py").read_text(encoding="utf-8")
    table = README.split("| setting")[1].split("\n\n")[0]
    read = set(
        re.findall(
            r"environ(?:\.get\(|\[)\"(CONVERGE_[A-Z_]+)\"|_read_(?:flag|seconds)\(\"(CONVERGE_[A-Z_]+)\"",
            settings,
        )
    )
    assert set(re.findall(r"^\| `(CONVERGE_[A-Z_]+)`", table, re.M)) == {a or b for a, b in read}


def test_it_names_every_status() -> None:
    sentence = README.split("A job is ")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z]+)`", sentence)) == {str(status) for status in JobStatus}


def test_its_places_exist() -> None:
    places = README.split("## Where things are")[1].split("\n\n")[1]
    for place in re.findall(r"\b(?:runtime|converge_site|templates|static|tests)/[a-z_./]*", places):
        assert (ROOT / place).exists(), place


def test_its_pack_runs_and_a_person_settles_what_no_rule_decides() -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.S)[0]
    module: Any = types.ModuleType("pets")
    exec(compile(code, "README.md", "exec"), module.__dict__)
    spec = module.pack.spec()
    core = Core(spec)
    pets = {"cat": {"joy": 9, "cost": 30}, "horse": {"joy": 8, "cost": 900}, "fish": {"joy": 3, "cost": 20}}
    rows: list[Any] = [Seed(n, "pet", name, value) for n, (name, value) in enumerate(pets.items(), 1)]
    commit = None
    while commit is None or commit.stop is None:
        runs = core.begin(rows)
        rows = []
        commit = core.finish(run_all(runs, module.pack.functions))
    assert commit.stop.reason == "waiting"
    assert core.fact("choice", "pet").value == "cat"  # type: ignore[union-attr]
    assert [slot.subject for slot in core.ledger.keys["verdict"].contested] == ["horse"]
    assert functions_for(spec) == {}  # it is run from the page alone, not from an installed pack
