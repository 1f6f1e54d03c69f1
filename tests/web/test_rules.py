"""Rules on the site: everybody sees them, operators draft, admins activate; and what a form asks for is done once."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from runtime.actions.rules import activate_rule, change_draft, draft_from, draft_rule, retire_rule
from runtime.actions.sync_packs import sync_packs
from runtime.models import AuditRecord, GovernanceRule, Pack, RuleVersion

MINE: dict[str, Any] = {"name": "mine", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 0.2}}
HARD = 'x" <b>&1 {{ 7 }}'


@pytest.fixture(autouse=True)
def growth(db: Any) -> Pack:
    sync_packs()
    return Pack.objects.get(name="growth")


@pytest.fixture
def mine(people: dict[str, User], growth: Pack) -> GovernanceRule:
    """A draft of Otto's."""
    return draft_rule(people["otto"], growth.pk, {**MINE, "priority": 5}, "to try it")


def rule(name: str) -> GovernanceRule:
    return GovernanceRule.objects.get(pack__name="growth", name=name)


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:500]
    return unescape(response.content.decode())


def titles(html: str, heading: str) -> list[str]:
    """The names of the rules in one panel of the list."""
    found = re.search(rf'aria-labelledby="{heading}".*?</section>', html, re.DOTALL)
    return re.findall(r'class="title"[^>]*><bdi>(.*?)</bdi>', found[0]) if found else []


def test_drafts_come_first_and_what_expires_soon_is_marked(
    vera: Client, people: dict[str, User], growth: Pack, mine: GovernanceRule
) -> None:
    soon = timezone.now() + dt.timedelta(days=2)
    brief = draft_rule(people["ada"], growth.pk, {**MINE, "name": "brief", "priority": 95}, expires_at=soon)
    activate_rule(people["ada"], brief.pk, "for two days", version=1)
    html = page(vera, "/rules/?pack=growth")
    assert titles(html, "drafts-h")[0] == "mine" and "by <bdi>otto</bdi>" in html
    assert titles(html, "active-h")[0] == "brief" and "expires " in html
    GovernanceRule.objects.filter(pk=brief.pk).update(expires_at=timezone.now())
    html = page(vera, "/rules/?pack=growth")
    assert titles(html, "past-h") == ["brief"] and "expired" in html
    assert "brief" not in titles(html, "active-h")


def test_the_list_is_narrowed_by_the_address(
    vera: Client, people: dict[str, User], mine: GovernanceRule
) -> None:
    retire_rule(people["ada"], rule("clear margin").pk, "enough", version=1)
    html = page(vera, "/rules/?pack=growth&state=retired")
    assert titles(html, "past-h") == ["clear margin"] and not titles(html, "active-h")
    assert "No rule matches" in page(vera, "/rules/?q=nothing+like+it")
    assert titles(page(vera, "/rules/?q=MINE"), "drafts-h") == ["mine"]
    assert "growth" in page(vera, "/rules/?state=odd&q=" + "%20" * 300)


def test_the_page_says_what_a_rule_does_and_by_which_policy(
    vera: Client, people: dict[str, User], growth: Pack
) -> None:
    policy = {"groups": ["operator", "admin"], "exclude_submitter": True, "reason": True}
    times = {"deadline": 100_800, "outcome": "strongest", "remind": 1_800}
    asks = draft_rule(
        people["otto"],
        growth.pk,
        {**MINE, "kind": "operator", "params": {**policy, **times}, "expression": "sides.size() == 2"},
    )
    html = page(vera, f"/rules/{asks.pk}/")
    assert (
        "No further rule is asked: somebody of the role operator or admin decides, never the submitter, with a reason, "
        "within 1 day 4 h, after which the strongest side stands; people are reminded 30 min before, where the "
        "condition holds." in html
    )
    assert "sides.size() == 2" in html


def test_precedence_and_shadows_are_shown_with_the_draft_put_in(
    vera: Client, people: dict[str, User], growth: Pack
) -> None:
    first = draft_rule(
        people["otto"], growth.pk, {"name": HARD, "kind": "operator", "keys": ["outlook"], "priority": 1}
    )
    raw = vera.get(f"/rules/{first.pk}/").content.decode()
    assert "<b>&1" not in raw
    html = unescape(raw)
    order = html.split("Among the others")[1].split("</section>")[0]
    names = re.findall(r"<bdi>(.*?)</bdi></(?:a|b)>", order)
    assert names == [HARD, "clear margin", "small stakes are weighed", "an operator decides"]
    assert order.count("shadowed") == 3 and "this one" in order
    assert "Activating it would bring" in html and "comes first on" in html
    own = page(vera, f"/rules/{rule('clear margin').pk}/")
    assert "shadowed" not in own.split("Among the others")[1].split("</section>")[0]
    activate_rule(people["ada"], first.pk, "a test", version=1)
    shadowed = page(vera, f"/rules/{rule('clear margin').pk}/")
    assert "has no say" in shadowed and "the pack as it is" in shadowed
    assert page(vera, "/packs/growth/").count("shadowed") >= 3


@pytest.mark.parametrize(
    "name", ["no split over budget", "somebody signs the plan", "never over budget", "shaky ground"]
)
def test_every_kind_of_rule_has_a_page(vera: Client, name: str) -> None:
    html = page(vera, f"/rules/{rule(name).pk}/")
    assert "Among the others" in html and "declared in the pack's code" in html


def test_versions_are_told_with_what_each_changed(
    vera: Client, people: dict[str, User], mine: GovernanceRule
) -> None:
    change_draft(people["otto"], mine.pk, {"params": {"margin": 0.1}, "message": HARD}, "smaller")
    activate_rule(people["ada"], mine.pk, "agreed", version=2)
    html = page(vera, f"/rules/{mine.pk}/")
    versions = html.split('id="versions-h"')[1].split("</section>")[0]
    assert re.findall(r'id="version-(\d)"', versions) == ["3", "2", "1"]
    assert (
        "params.margin" in versions
        and "<bdi>0.2</bdi></del>" in versions
        and "<bdi>0.1</bdi></ins>" in versions
    )
    assert "“<bdi>agreed</bdi>”" in versions and "It says the same." in versions


def test_each_role_is_offered_what_it_may_do(
    vera: Client, otto: Client, ada: Client, people: dict[str, User], mine: GovernanceRule
) -> None:
    theirs = draft_rule(people["ada"], mine.pack_id, {**MINE, "name": "theirs"})
    active = rule("clear margin")
    acts = {"activate/", "edit/", "delete/", "draft/", "retire/"}

    def offered(client: Client, found: GovernanceRule) -> set[str]:
        html = page(client, f"/rules/{found.pk}/")
        return {act for act in acts if f'"/rules/{found.pk}/{act}"' in html}

    assert [offered(vera, found) for found in (mine, theirs, active)] == [set(), set(), set()]
    assert offered(otto, mine) == {"edit/", "delete/", "draft/"}
    assert offered(otto, theirs) == {"draft/"}
    assert offered(otto, active) == {"draft/"}
    assert offered(ada, mine) == {"activate/", "edit/", "delete/", "draft/"}
    assert offered(ada, active) == {"retire/", "draft/"}


def test_a_bare_post_is_held_to_the_same(
    vera: Client, otto: Client, client: Client, people: dict[str, User], mine: GovernanceRule
) -> None:
    theirs = draft_rule(people["ada"], mine.pack_id, {**MINE, "name": "theirs"})
    active = rule("clear margin")
    sent = {"version": "1", "reason": "mine"}
    for who, found, acts in (
        (vera, mine, ("activate", "delete", "draft", "edit")),
        (vera, active, ("retire", "draft")),
        (otto, mine, ("activate",)),
        (otto, active, ("retire",)),
        (otto, theirs, ("delete", "edit")),
    ):
        for act in acts:
            assert who.post(f"/rules/{found.pk}/{act}/", sent).status_code == 403, (act, found)
    assert vera.post("/rules/new/", sent).status_code == 403
    for address in ("/rules/", f"/rules/{mine.pk}/", "/packs/growth/bench/", "/rules/new/"):
        assert client.get(address).status_code == 302, address
    assert client.post(f"/rules/{mine.pk}/activate/", sent).status_code == 302
    assert [found.state for found in (rule("mine"), rule("theirs"), rule("clear margin"))] == [
        "draft",
        "draft",
        "active",
    ]
    for address in (f"/rules/{mine.pk}/activate/", f"/rules/{mine.pk}/delete/", "/rules/check/"):
        assert vera.get(address).status_code == 405


def test_a_draft_is_activated_once_and_takes_the_place(ada: Client, people: dict[str, User]) -> None:
    old = rule("clear margin")
    draft = draft_from(people["otto"], old.pk)
    html = page(ada, f"/rules/{draft.pk}/")
    assert "and no longer by <b><bdi>clear margin</bdi></b>" in html
    sent = {"version": "1", "retires": str(old.pk), "reason": "agreed"}
    done = ada.post(f"/rules/{draft.pk}/activate/", sent, follow=True)
    assert "clear margin 2 is active" in done.content.decode()
    assert ada.post(f"/rules/{draft.pk}/activate/", sent).status_code == 302, "a double click"
    assert (rule("clear margin").state, rule("clear margin 2").state) == ("retired", "active")
    assert AuditRecord.objects.filter(act="activate_rule").count() == 1
    assert RuleVersion.objects.filter(rule=draft).count() == 2


def test_a_page_that_is_stale_is_shown_anew(
    ada: Client, people: dict[str, User], mine: GovernanceRule
) -> None:
    change_draft(people["otto"], mine.pk, {"params": {"margin": 0.3}}, "hm")
    for sent in ({"version": "1", "reason": "go"}, {"reason": "go"}, {"version": "x", "reason": "go"}):
        response = ada.post(f"/rules/{mine.pk}/activate/", sent)
        assert response.status_code == 409
        html = unescape(response.content.decode())
        assert "here it is" in html and "0.3" in html
        assert 'name="version" value="2"' in html and 'value="go"' in html
    response = ada.post(f"/rules/{mine.pk}/activate/", {"version": "2", "retires": "7", "reason": "go"})
    assert response.status_code == 409 and rule("mine").state == "draft"


def test_what_is_refused_keeps_what_was_typed(ada: Client, mine: GovernanceRule) -> None:
    response = ada.post(f"/rules/{mine.pk}/activate/", {"version": "1", "reason": " "})
    assert response.status_code == 422 and "Say why" in response.content.decode()
    active = rule("clear margin")
    response = ada.post(f"/rules/{active.pk}/retire/", {"version": "1", "reason": "x" * 501})
    assert response.status_code == 422 and "limit is 500" in response.content.decode()
    assert ada.post("/rules/999999/retire/", {"version": "1", "reason": "x"}).status_code == 410
    assert ada.get("/rules/999999/").status_code == 404
    assert ada.post(f"/rules/{active.pk}/delete/", {"version": "1"}).status_code == 422


def test_an_operator_makes_a_draft_changes_and_deletes_it(otto: Client) -> None:
    old = rule("clear margin")
    made = otto.post(f"/rules/{old.pk}/draft/")
    assert otto.post(f"/rules/{old.pk}/draft/")["Location"] == made["Location"], "a double click"
    draft = rule("clear margin 2")
    assert made["Location"] == f"/rules/{draft.pk}/"
    form = page(otto, f"/rules/{draft.pk}/edit/")
    assert '"margin": 0.4' in form and "cel_editor.js" in form
    sent = {
        "name": draft.name,
        "kind": "confidence",
        "keys": "outlook, stance",
        "priority": "12",
        "params": '{"margin": 0.2}',
        "expression": "sides.size() == 2",
        "message": "",
        "expires_at": "2100-05-06T07:08",
        "why": "wider",
        "version": "1",
    }
    assert otto.post(f"/rules/{draft.pk}/edit/", sent)["Location"] == f"/rules/{draft.pk}/"
    draft.refresh_from_db()
    assert (draft.keys, draft.priority, draft.params) == (["outlook", "stance"], 12, {"margin": 0.2})
    assert draft.expires_at is not None and draft.expires_at.isoformat() == "2100-05-06T07:08:00+00:00"
    again = otto.post(f"/rules/{draft.pk}/edit/", {**sent, "priority": "13"})
    assert again.status_code == 409 and "See what it says now" in again.content.decode()
    response = otto.post(f"/rules/{draft.pk}/delete/", {"version": "2", "reason": "no"}, follow=True)
    assert "The draft is deleted" in response.content.decode()
    assert not GovernanceRule.objects.filter(pk=draft.pk).exists()
    assert otto.get(f"/rules/{old.pk}/edit/").status_code == 422


def test_a_new_draft_is_written_on_the_site(otto: Client, growth: Pack) -> None:
    form = page(otto, "/rules/new/?pack=growth")
    assert f'<option value="{growth.pk}" selected>' in form
    sent = {
        "pack": str(growth.pk),
        "name": "people look",
        "kind": "operator",
        "keys": "outlook",
        "priority": "3",
        "params": "{}",
        "expression": "side.size() > 2",
        "why": "to try",
    }
    wrong = otto.post("/rules/new/", sent)
    html = unescape(wrong.content.decode())
    assert wrong.status_code == 422 and "unknown name `side`" in html and "line 1, column 1" in html
    assert "side.size() > 2</textarea>" in html
    assert otto.post("/rules/new/", {**sent, "why": ""}).status_code == 422
    assert otto.post("/rules/new/", {**sent, "expression": ""}).status_code == 302
    assert rule("people look").versions.get().by_name == "otto"
    assert otto.post("/rules/new/", {**sent, "expression": ""}).status_code == 422, "the name is taken"


def test_the_pack_page_and_the_packs_lead_to_the_rules(vera: Client, mine: GovernanceRule) -> None:
    html = page(vera, "/packs/growth/")
    for found in GovernanceRule.objects.filter(pack__name="growth"):
        assert f'href="/rules/{found.pk}/"' in html, found
    assert 'href="/packs/growth/bench/?key=outlook"' in html
    order = html.split('id="order-h"')[1]
    assert [order.index(name) for name in ("clear margin", "small stakes", "an operator decides")] == sorted(
        order.index(name) for name in ("clear margin", "small stakes", "an operator decides")
    )
    assert "mine" not in order, "a draft is asked by no job"
    assert 'href="/rules/"' in page(vera, "/packs/")
