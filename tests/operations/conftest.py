"""The packs and workers of the runtime's tests."""

from tests.runtime.fixtures import empty_queue, installed, use_packs
from tests.runtime.workers import workers

__all__ = ["empty_queue", "installed", "use_packs", "workers"]
