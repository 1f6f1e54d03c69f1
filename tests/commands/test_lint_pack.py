"""`manage.py lint_pack`: by pack for people, one object for scripts, and an exit status for both."""

import json

import pytest

from runtime.agents import PackFault, all_packs, registry
from tests.commands.said import call
from tests.runtime.fixtures import Use


def test_the_packs_that_ship_are_named_and_nothing_is_wrong_with_them() -> None:
    said = call("lint_pack")
    assert said.status == 0, said.out
    for pack in all_packs():
        assert f"{pack.name}: no findings" in said.out
    assert "accepted loop" in said.out


@pytest.mark.django_db
def test_a_warning_is_told_and_fails(use_packs: Use) -> None:
    use_packs("walk")
    said = call("lint_pack", "walk")
    assert said.status == 1
    assert said.out.startswith("walk: 1 warning\n  warning  loop")
    assert "growth" not in said.out
    said = call("lint_pack", "walk", "--json")
    assert said.status == 1
    found = json.loads(said.out.splitlines()[-1])
    assert found["warnings"] == 1
    (finding,) = found["packs"][0]["findings"]
    assert (finding["code"], finding["about"]) == ("loop", {"kind": "key", "names": ["step"]})


def test_a_pack_that_cannot_be_loaded_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.Found({}, (PackFault("pricing = acme:pack", "ImportError: no acme"),))
    monkeypatch.setattr(registry, "_found", lambda: found)
    said = call("lint_pack")
    assert said.status == 1
    assert "pricing = acme:pack: cannot be loaded. ImportError: no acme" in said.out
    assert json.loads(call("lint_pack", "--json").out)["faults"][0]["source"] == "pricing = acme:pack"


def test_an_unknown_pack_is_refused_with_those_there_are() -> None:
    said = call("lint_pack", "grwoth")
    assert said.status == 2
    assert "growth" in said.err
