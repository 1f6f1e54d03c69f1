"""The pack's page shows what lint says of the pack as it stands now, with links that lead somewhere."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from runtime.actions.sync_packs import sync_packs
from runtime.models import Agent, GovernanceRule, Pack
from tests.commands.said import call

HARD_NAME = 'people "decide" <first> 50% #1'


def page_of(client: Client, pack: str = "growth") -> str:
    return client.get(f"/packs/{pack}/").content.decode()


def panel_of(html: str) -> str:
    return html.split('id="lint"')[1].split("</section>")[0]


def add_rule(name: str, kind: str, keys: list[str], priority: int, **fields: Any) -> None:
    """A rule that an admin made."""
    pack = Pack.objects.get(name="growth")
    GovernanceRule.objects.create(
        pack=pack, name=name, kind=kind, keys=keys, priority=priority, origin="admin", **fields
    )


@pytest.fixture(autouse=True)
def _synced(db: Any) -> None:
    sync_packs()


def test_packs_that_ship_say_that_there_is_nothing_and_what_is_accepted(vera: Client) -> None:
    for pack, why in (("growth", "Flags are for people"), ("claims", "Figures are rounded")):
        panel = panel_of(page_of(vera, pack))
        assert "no findings" in panel
        assert "attention" not in panel
        assert "1 accepted by the pack's author" in unescape(panel)
        assert why in panel


def test_what_an_admin_added_is_looked_at_and_every_link_leads_to_something(vera: Client) -> None:
    add_rule(HARD_NAME, "operator", ["outlook"], 1)
    add_rule("again", "confidence", ["outlook"], 50, params={"margin": 0.5})
    html = page_of(vera)
    panel = panel_of(html)
    assert HARD_NAME in unescape(panel) and "<first>" not in panel
    assert "clear margin" in panel and "never reached" in panel
    links = re.findall(r'href="#([^"]+)"', panel)
    assert {"rule-clear%20margin", "agent-weigh", "key-flag"} <= set(links)
    for link in links:
        assert f'id="{link}"' in html, link
    assert html.count('class="warned"') == 1  # the agent; the key is accepted


def test_an_agent_that_is_switched_off_leaves_its_readers_behind(vera: Client) -> None:
    Agent.objects.filter(pack__name="growth", name="strategise").update(enabled=False)
    panel = unescape(panel_of(page_of(vera)))
    assert "No agent writes the key" in panel
    assert "The agent <code>summarise</code> can never run" in panel
    Agent.objects.filter(pack__name="growth", name="weigh").update(enabled=False)
    panel = unescape(panel_of(page_of(vera)))
    assert "is switched off or not declared" in panel


def test_a_tool_that_is_gone_is_told(vera: Client) -> None:
    agent = Agent.objects.get(pack__name="growth", name="web-search")
    agent.config = {**agent.config, "tool": "gone"}
    agent.save()
    panel = unescape(panel_of(page_of(vera)))
    assert "calls the tool" in panel
    assert "No agent names the tool" in panel
    assert 'href="/tools/search/"' in panel


def test_a_sync_says_nothing_of_it() -> None:
    add_rule("first", "operator", ["outlook"], 1)
    said = call("sync_packs", verbosity=2)
    assert "lint" not in said.out + said.err and "never" not in said.out + said.err
