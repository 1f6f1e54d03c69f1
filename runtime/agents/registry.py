"""Finding packs: those that ship in `runtime.packs`, and those of installed packages.

An installed package offers one through an entry point of the group `converge.packs` that names its Pack. One
that cannot be imported is reported by `pack_faults` and stops nobody.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import runtime.packs
from runtime.agents.errors import DeclarationError
from runtime.agents.functions import Function
from runtime.agents.kinds import CONFIGURED_KINDS, make_function
from runtime.agents.pack import Pack
from runtime.engine.spec import AgentSpec, PackSpec

log = logging.getLogger(__name__)

GROUP = "converge.packs"


@dataclass(frozen=True, slots=True)
class PackFault:
    """A pack that could not be loaded: where it was to come from, and why not."""

    source: str
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """All packs by name, in order of name, and those that could not be loaded."""

    packs: dict[str, Pack]
    faults: tuple[PackFault, ...]


def all_packs() -> list[Pack]:
    """Every pack that can be loaded, in order of name."""
    return list(_found().packs.values())


def pack_faults() -> list[PackFault]:
    """The packs of installed packages that could not be loaded."""
    return list(_found().faults)


def find_pack(name: str) -> Pack | None:
    """The pack of that name, or None."""
    return _found().packs.get(name)


def find_function(pack_name: str, agent_name: str) -> Function | None:
    """The code of an agent of a pack, or None if it is not in the code that is installed here."""
    pack = find_pack(pack_name)
    return None if pack is None else pack.functions.get(agent_name)


def functions_for(spec: PackSpec) -> dict[str, Function]:
    """The code behind the agents of a frozen pack, by name: of configured kinds (CEL, http, llm, mcp) from the
    spec itself, others from the registry.

    An agent whose code is gone is left out; running it gives a failure that says so.
    """
    found = ((agent.name, _function_of(spec, agent)) for agent in spec.agents)
    return {name: function for name, function in found if function is not None}


def discover(points: Iterable[EntryPoint]) -> Found:
    """Load what ships and what `points` name. Raises DeclarationError if a pack that ships is broken."""
    loaded = list(_shipped())
    faults: list[PackFault] = []
    for point in sorted(points, key=lambda p: (p.name, p.value)):
        try:
            loaded.append((f"{point.name} = {point.value}", _installed(point)))
        except Exception as error:  # a foreign package may raise anything while it is imported
            log.warning("pack %s could not be loaded", point.value, exc_info=error)
            faults.append(PackFault(f"{point.name} = {point.value}", f"{type(error).__name__}: {error}"))
    packs: dict[str, Pack] = {}
    for source, pack in loaded:
        if pack.name in packs:
            faults.append(
                PackFault(source, f"The name {pack.name!r} is taken by another pack; give it another name.")
            )
        else:
            packs[pack.name] = pack
    return Found(dict(sorted(packs.items())), tuple(faults))


@cache
def _found() -> Found:
    return discover(entry_points(group=GROUP))


def _shipped() -> Iterator[tuple[str, Pack]]:
    for module in sorted(pkgutil.iter_modules(runtime.packs.__path__), key=lambda m: m.name):
        name = f"{runtime.packs.__name__}.{module.name}"
        pack = getattr(importlib.import_module(name), "pack", None)
        if pack is not None:
            pack.spec()
            yield name, pack


def _installed(point: EntryPoint) -> Pack:
    pack = point.load()
    if not isinstance(pack, Pack):
        raise DeclarationError(f"{point.value} is no Pack but a {type(pack).__name__}; name the Pack itself.")
    pack.spec()
    return pack


def _function_of(spec: PackSpec, agent: AgentSpec) -> Function | None:
    if agent.kind in CONFIGURED_KINDS:
        return make_function(agent, spec)
    return find_function(spec.name, agent.name)
