"""Agents: those from code to switch, move and limit, and those of an admin whole."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminSelectWidget

from converge_site.admin.base import NEXT_JOBS, ActingAdmin, GuardedForm, shown_changes
from converge_site.admin.fields import NamesField, ObjectField
from converge_site.admin.site import site
from runtime.actions.agent_checks import MOST_CONFIG_BYTES, check_config_text
from runtime.actions.agents import (
    NEW_SETTINGS,
    OWN_SETTINGS,
    add_agent,
    change_agent,
    check_agent_change,
    check_new_agent,
    delete_agent,
    settings_of,
)
from runtime.agents import CONFIGURED_KINDS
from runtime.agents.tool_declarations import TIMEOUT
from runtime.models import Agent, Pack, Tool

CONFIG_EXAMPLES = (
    ("http", '{"tool": "search", "path": "/agents/web"}', "POSTs what it is shown to that path of the tool"),
    (
        "llm",
        '{"tool": "writer", "prompt": "Sum up {{ item.subject }}:\\n{{ item.value|json }}", "temperature": 0.2}',
        "also: system, seed, max_tokens, confidence. The prompt is a template over facts, item, group or sides",
    ),
    (
        "mcp",
        '{"tool": "crm", "call": "find_account", "arguments": {"name": "subject"}, "subject": "subject", '
        '"value": "result.revenue"}',
        "arguments, each, key, subject, value, confidence and evidence are CEL",
    ),
    (
        "cel",
        '{"when": "value.spend > 1000.0", "subject": "subject", "value": "\'large\'", "confidence": "0.8"}',
        "all CEL, over key, subject, value, confidence, fact(…) and facts(…)",
    ),
)


class AgentForm(GuardedForm):
    """An agent: what of it can be set is for `settings_of` to say."""

    kind = forms.ChoiceField(
        choices=[(kind, kind) for kind in CONFIGURED_KINDS], initial="http", widget=UnfoldAdminSelectWidget
    )
    reads = NamesField(
        required=False,
        help_text="Keys that it is shown, with commas between them; not the one that it goes over.",
    )
    writes = NamesField(required=False, help_text="Keys that it may propose facts for.")
    config = ObjectField(
        label="Configuration",
        required=False,
        example='{"tool": "search"}',
        most_bytes=MOST_CONFIG_BYTES,
    )

    class Meta:
        model = Agent
        fields = ("pack", *NEW_SETTINGS)
        widgets = {"description": UnfoldAdminExpandableTextareaWidget}
        help_texts = {
            "name": "Lower-case letters, digits, - and _. It stays: journals tell by it who spoke.",
            "enabled": "A job runs only enabled agents.",
            "shape": "whole: one call on all that it reads. each: one call a fact of a key. grouped: one a group of "
            "them. aggregate: rules on conflicts of a key, and needs a rule of kind aggregation that names it.",
            "over": "The key that an each, grouped or aggregate agent goes through.",
            "group_by": "For a grouped agent: the field of the values that names the group.",
            "append": "It only adds: what it said stands until a premise of it falls. Its proposals must name their "
            "premises.",
            "required": "Its failure, or what is refused of it, keeps its tier from being reached.",
            "timeout": "Seconds that one run may take, with all attempts.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "writes" in self.fields:
            self.fields["writes"].help_text = _keys_help(self.instance)
        if "config" in self.fields:
            self.fields["config"].help_text = _config_help(self.instance.kind if self.instance.pk else "")

    def check_typed(self, name: str, typed: str) -> None:
        """A configuration names a tool; the tool names where its secret is."""
        super().check_typed(name, typed)
        if name == "config":
            check_config_text(typed)

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask `change_agent`, or `add_agent`."""
        if self.instance.pk:
            check_agent_change(self.by, Agent.objects.get(pk=self.instance.pk), self.changes())
        else:
            check_new_agent(self.by, cleaned["pack"], self.settings())

    def settings(self) -> dict[str, Any]:
        """All that the form says of a new agent."""
        return {name: self.cleaned_data[name] for name in NEW_SETTINGS}


@admin.register(Agent, site=site)
class AgentAdmin(ActingAdmin):
    """Agents that need no code are made, changed and deleted here; those from code are switched, moved and limited."""

    form = AgentForm
    list_display = (
        *("name", "pack", "kind", "shape", "tier", "required", "enabled"),
        *("shown_tool", "timeout", "shown_changes"),
    )
    list_filter = ("pack", "kind", "enabled", "required", "tier", "shape", "origin")
    list_select_related = ("pack",)
    search_fields = ("name", "title", "description")

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> Agent:
        """`change_agent`, or `add_agent`."""
        why = form.cleaned_data["why"]
        if change:
            return change_agent(form.by, row.pk, form.changes(), why)
        return add_agent(form.by, form.cleaned_data["pack"].pk, form.settings(), why)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new agent calls a tool, most likely, and has the time for it."""
        return {"timeout": TIMEOUT, **super().get_changeform_initial_data(request)}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What can be set first; of an agent from code, what it says besides."""
        place = (("tier", "required"), ("timeout", "wait"))
        if obj is not None and obj.origin == "code":
            settable = set(settings_of(obj))
            return (
                (
                    None,
                    {
                        "fields": (
                            *("pack", "name", "description", "enabled", *place),
                            *(("config",) if "config" in settable else ()),
                            "why",
                        ),
                        "description": NEXT_JOBS,
                    },
                ),
                (
                    "From code",
                    {
                        "fields": (
                            ("shape", "kind"),
                            ("over", "group_by"),
                            ("shown_reads", "shown_writes"),
                            "append",
                            *(() if "config" in settable else ("config",)),
                            "shown_changes",
                        )
                    },
                ),
            )
        return (
            (
                None,
                {
                    "fields": ("pack", ("name", "kind"), "title", "description", "enabled"),
                    "description": NEXT_JOBS,
                },
            ),
            (
                "What it is shown and may say",
                {"fields": ("shape", ("over", "group_by"), "reads", "writes", "append")},
            ),
            ("How it works", {"fields": ("config", *place, "why")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An agent stays in its pack, with its name and kind; most of one from code is the code's."""
        if obj is None:
            return ()
        fixed = tuple(name for name in OWN_SETTINGS if name not in settings_of(obj))
        return ("pack", "name", "kind", *fixed, "shown_reads", "shown_writes", "shown_changes")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An agent from code would come back; it is disabled instead."""
        return obj is not None and obj.origin == "admin" and self.has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """`delete_agent`."""
        delete_agent(request.user, obj.pk, "deleted in the admin")

    @admin.display(description="Tool", empty_value="none")
    def shown_tool(self, agent: Agent) -> str | None:
        """The tool that its configuration names."""
        tool = agent.config.get("tool")
        return str(tool) if tool else None

    @admin.display(description="Reads", empty_value="nothing")
    def shown_reads(self, agent: Agent) -> str | None:
        """The keys it reads."""
        return ", ".join(agent.reads) or None

    @admin.display(description="Writes", empty_value="nothing")
    def shown_writes(self, agent: Agent) -> str | None:
        """The keys it writes."""
        return ", ".join(agent.writes) or None

    @admin.display(description="Set here")
    def shown_changes(self, agent: Agent) -> str:
        """What an admin set."""
        return shown_changes(agent)


def _keys_help(agent: Agent) -> SafeString:
    """The keys of the agent's pack, or of every pack while none is chosen."""
    packs = [agent.pack] if agent.pk else Pack.objects.filter(enabled=True)
    said = [(pack.name, ", ".join(key["name"] for key in pack.keys)) for pack in packs]
    lines = format_html_join("", "<br>{} has {}.", said)
    return format_html("Keys that it may propose facts for.{}", lines)


def _config_help(kind: str) -> SafeString:
    """An example for each kind, and the tools that there are."""
    examples = [example for example in CONFIG_EXAMPLES if kind in ("", example[0])]
    lines = format_html_join("", "<br><b>{}</b> <code>{}</code>: {}.", examples)
    tools = ", ".join(f"{name} ({of})" for name, of in Tool.objects.values_list("name", "kind")) or "none yet"
    return format_html("A JSON object. A line break in a text is written \\n. Tools: {}.{}", tools, lines)
