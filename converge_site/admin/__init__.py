"""The admin: packs, agents, rules, tools, people, audit log; jobs, their journal and calls of tools to read.

No form in here saves a row. Each calls an action that checks, writes and audits (DESIGN 11, D9.3).
"""

from converge_site.admin import agents, packs, people, records, rules, tool_calls, tools
from converge_site.admin.site import site

__all__ = ["agents", "packs", "people", "records", "rules", "site", "tool_calls", "tools"]
