"""Writing packs in code: keys, agents and rules, declared beside the functions that compute.

    from runtime.agents import Pack, propose

    pack = Pack("pets", title="Which pet?", tiers=["Answer"], answer=["choice"])
    pack.key("pet", schema={"type": "object"}, seed=True)
    pack.key("choice", schema={"type": "string"})

    @pack.agent(reads=["pet"], writes=["choice"], required=True)
    def choose(view):
        best = max(view["pet"], key=lambda pet: pet.value["joy"], default=None)
        if best:
            yield propose("choice", "pet", best.subject, 0.8, because=[best])

A module `runtime/packs/<name>` with an attribute `pack`, or an entry point of the group `converge.packs`, is
found by `all_packs`. Packs are declared, read and run without a database
or settings; of Django, only prompts use anything: its template language.
"""

from runtime.agents.errors import DeclarationError
from runtime.agents.kinds import CONFIGURED_KINDS, TOOL_KINDS, check_agent_config
from runtime.agents.pack import Pack
from runtime.agents.registry import PackFault, all_packs, find_function, find_pack, functions_for, pack_faults
from runtime.agents.running import run_all
from runtime.agents.saying import Ruling, propose, ruling
from runtime.agents.seeds import Problem
from runtime.agents.tool_declarations import PackTool
from runtime.engine.spec import Budget

__all__ = [
    "CONFIGURED_KINDS",
    "TOOL_KINDS",
    "Budget",
    "DeclarationError",
    "Pack",
    "PackFault",
    "PackTool",
    "Problem",
    "Ruling",
    "all_packs",
    "check_agent_config",
    "find_function",
    "find_pack",
    "functions_for",
    "pack_faults",
    "propose",
    "ruling",
    "run_all",
]
