"""Samples to run: what an installation without a job offers."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.agents import find_pack
from runtime.models import Pack


@dataclass(frozen=True, slots=True)
class PackSamples:
    """A pack that jobs can be submitted to, with the names of the samples it ships."""

    pack: Pack
    names: list[str]


def read_samples() -> list[PackSamples]:
    """Every enabled pack, by name."""
    packs = Pack.objects.filter(enabled=True).order_by("name").only("name", "title", "description")
    return [PackSamples(pack, _names(pack.name)) for pack in packs]


def _names(pack: str) -> list[str]:
    code = find_pack(pack)
    return list(code.samples()) if code else []
