"""The settings, with a lease that is over soon: a run of the fault matrix takes over dozens of jobs."""

from converge_site.settings import *  # noqa: F403

CONVERGE_LEASE_SECONDS = 3.0
