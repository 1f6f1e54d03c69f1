"""Packs of the tests' own, and a queue that is empty."""

from tests.runtime.fixtures import empty_queue, installed, use_packs
from tests.runtime.mail import mail_server
from tests.runtime.market import three_jobs, use_market
from tests.runtime.workers import workers

__all__ = ["empty_queue", "installed", "mail_server", "three_jobs", "use_market", "use_packs", "workers"]
