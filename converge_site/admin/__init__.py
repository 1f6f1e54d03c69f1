"""The admin: packs, agents, rules, people, audit log; jobs and their journal to read.

No form in here saves a row. Each calls an action that checks, writes and audits (DESIGN 11, D9.3).
"""

from converge_site.admin import packs, people, records
from converge_site.admin.site import site

__all__ = ["packs", "people", "records", "site"]
