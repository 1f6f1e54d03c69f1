"""Packs of the tests' own, and a queue that is empty."""

from tests.runtime.fixtures import empty_queue, installed, use_packs

__all__ = ["empty_queue", "installed", "use_packs"]
