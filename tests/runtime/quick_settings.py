"""The settings, with a lease that is over soon: a test need not wait long for a takeover."""

from converge_site.settings import *  # noqa: F403

CONVERGE_LEASE_SECONDS = 1.0
