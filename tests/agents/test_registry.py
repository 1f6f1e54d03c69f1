"""Packs are found where they ship and where they are installed, and a broken guest stops nobody."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from runtime.agents import Pack, all_packs, find_function, find_pack, functions_for
from runtime.agents.registry import GROUP, discover


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module of an installed package."""
    module = ModuleType("guest_packs")
    module.pack = Pack("guest")  # type: ignore[attr-defined]
    module.thing = 7  # type: ignore[attr-defined]
    module.shadow = Pack("growth")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "guest_packs", module)
    return module


def point(value: str) -> EntryPoint:
    return EntryPoint("guest", value, GROUP)


def test_the_packs_that_ship_are_found_by_name() -> None:
    names = [pack.name for pack in all_packs()]
    assert "growth" in names
    assert names == sorted(names)
    assert find_pack("growth") is not None
    assert find_pack("no such pack") is None


def test_an_installed_pack_is_found(guest: ModuleType) -> None:
    found = discover([point("guest_packs:pack")])
    assert found.packs["guest"] is guest.pack
    assert not found.faults


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module:pack", "ModuleNotFoundError"),
        ("guest_packs:nothing", "AttributeError"),
        ("guest_packs:thing", "is no Pack but a int"),
        ("guest_packs:shadow", "taken by another pack"),
    ],
)
def test_a_pack_that_cannot_be_loaded_is_reported_and_stops_nobody(
    guest: ModuleType, value: str, words: str
) -> None:
    found = discover([point(value)])
    assert "growth" in found.packs
    assert found.packs["growth"] is find_pack("growth")
    (fault,) = found.faults
    assert value in fault.source
    assert words in fault.message


def test_functions_are_found_by_pack_and_agent() -> None:
    assert find_function("growth", "momentum") is not None
    assert find_function("growth", "nobody") is None
    assert find_function("nothing", "momentum") is None


def test_every_agent_of_every_pack_that_ships_has_its_code() -> None:
    for pack in all_packs():
        spec = pack.spec()
        assert set(functions_for(spec)) == {agent.name for agent in spec.agents}
