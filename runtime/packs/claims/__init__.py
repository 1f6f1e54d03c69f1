"""Who is right when sources disagree? See `pack`."""

from runtime.packs.claims.pack import pack

__all__ = ["pack"]
