"""Text that would hurt where it is not escaped, and a world in which everything that can be written holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib.auth.models import Group, User
from django.test import Client

from converge_site.fragments.breakers import forget_breakers
from runtime.actions import add_fact, decide_conflict, submit_job
from runtime.actions.backtests import start_backtest
from runtime.actions.deferring import defer_conflict
from runtime.actions.rules import draft_rule
from runtime.actions.saved_views import save_view
from runtime.agents import Pack, propose
from runtime.engine import Fact, Proposal, View
from runtime.models import Conflict, Job
from runtime.models import Pack as PackRow
from runtime.tools.failures import ToolFailed
from runtime.tools.gate import shared_gate
from tests.web import cast
from tests.web.matrix import World
from tests.web.tools import make_call, make_tool

LONG_WORD = "W" * 400
# What names and subjects may hold as well: it can be printed.
TEXTS = [
    "</script><script>window.hurt=1</script>",
    '"><img src=x onerror="window.hurt=1">',
    "' onmouseover='window.hurt=1' autofocus onfocus='window.hurt=1",
    '<a hx-get="/hurt/" hx-trigger="load" hx-swap-oob="true">hurt</a>',
    '<div id="panel-header" data-personal="/hurt/" data-rev="9" data-morph>hurt</div>',
    '<div data-rows="hurt"><div class="entry" data-seq="1">x</div></div>',
    '<main data-socket="/ws/hurt/" data-last="0"></main>',
    '<button data-copy="//hurt.test/" data-print data-keys-tick>x</button><form data-auto action="//hurt.test/">',
    '<a data-go="j" href="javascript:window.hurt=1">x</a>',
    "<base href=//hurt.test/><meta http-equiv=refresh content='0;url=//hurt.test/'>",
    "<link rel=stylesheet href=//hurt.test/x.css><style>*{display:none}/*hurt*/</style>",
    '<svg onload=window.hurt=1><use href="//hurt.test/x"/></svg><iframe src=//hurt.test/></iframe>',
    "{{ job.seeds }}{% csrf_token %}{{ 7|add:7 }}hurt",
    "-->]]></textarea></title></style></select><script>window.hurt=1</script>",
    "&lt;script&gt;window.hurt=1&lt;/script&gt;&#60;img src=x onerror=window.hurt=1&#62;",
    '=HYPERLINK("//hurt.test/","x")',
    "שלום 🐘 مرحبا <b>&amp;</b>hurt",
    LONG_WORD,
]
BIDI = "\u202ehurt\u2066\u2067\u200f\u200b"
CONTROLS = "hurt\x01\x08\x1b[31m\x7f\x85\u2028\u2029\ufeff\ufffe"
HUGE = "<i onclick=window.hurt=1>" * 2400  # just under the limit of a value


def _nested(depth: int) -> Any:
    value: Any = TEXTS[1]
    for _ in range(depth):
        value = {TEXTS[0]: [value]} if depth % 2 else {"deeper": value}
    return value


VALUES: list[Any] = [
    *TEXTS,
    BIDI,
    CONTROLS,
    HUGE,
    LONG_WORD * 20,
    _nested(20),
    {text + BIDI: text + CONTROLS for text in TEXTS[:12]},
    [TEXTS[0], {TEXTS[1]: None}, [TEXTS[3]]],
    "",
    None,
]

bazaar = Pack(
    "bazaar",
    title=TEXTS[1],
    description=TEXTS[0],
    tiers=[(TEXTS[0], TEXTS[1]), TEXTS[3]],
    answer=["deal", "plan"],
)
bazaar.key("case", seed=True, title=TEXTS[4], subject_label=TEXTS[1], description=TEXTS[0])
bazaar.key("deal", title=TEXTS[3], subject_label=TEXTS[2], description=TEXTS[13])
bazaar.key("plan", title=TEXTS[5])
bazaar.constraint(TEXTS[9], keys=["plan"], expression="value != 13", message=TEXTS[11])
bazaar.operator(TEXTS[6], keys=["deal"])
bazaar.approval(TEXTS[7], keys=["plan"], message=TEXTS[0])
bazaar.discount(TEXTS[10], incomplete=0.5, provisional=0.5)


@bazaar.each("case", writes=["deal"], required=True)
def lenient(case: Fact, view: View) -> Proposal:
    """</script><script>window.hurt=1</script>"""
    return propose("deal", case.subject, case.value, 0.6, evidence={TEXTS[0]: TEXTS[1], "source": TEXTS[3]})


@bazaar.each("case", writes=["deal"], required=True)
def strict(case: Fact, view: View) -> Iterator[Proposal]:
    """Disagrees where it can."""
    if case.subject in TEXTS[:6]:
        yield propose("deal", case.subject, {TEXTS[1]: [TEXTS[2], BIDI]}, 0.9, evidence={TEXTS[8]: CONTROLS})


@bazaar.each("case", writes=["deal"], tier=2, required=True)
def unlucky(case: Fact, view: View) -> None:
    """Fails, and says why."""
    if case.subject in TEXTS[2:8]:
        raise ToolFailed("timeout", f"{case.subject}: {TEXTS[0]}{BIDI}", tool="oracle")


@bazaar.agent(reads=["deal"], writes=["plan"], tier=2, required=True)
def count(view: View) -> Iterator[Proposal]:
    """Has one refused and two held."""
    yield propose("plan", TEXTS[0], 13)
    yield propose("plan", TEXTS[1], {TEXTS[0]: TEXTS[1]})
    yield propose("plan", TEXTS[12], TEXTS[3])


def make_hostile_world(people: dict[str, User]) -> World:
    """A world as that of the matrix, in the pack `bazaar`, whose people, rules and reasons are hostile too."""
    for name, text in (("olga", TEXTS[1]), ("otto", TEXTS[0])):
        user = people.get(name) or User.objects.create_user(name, password="x")
        user.username = text
        user.save()
        user.groups.add(Group.objects.get_or_create(name="operator")[0])
        people[name] = user
    make_tool("oracle", title=TEXTS[0])
    shared_gate().trip("oracle", TEXTS[1])
    forget_breakers()
    job = _make_job(people)
    make_call(job, "oracle", cls="timeout", message=TEXTS[0] + BIDI, item=TEXTS[1], agent="unlucky")
    batch, settled = str(uuid4()), _question(job, TEXTS[0])
    decide_conflict(
        people["olga"], settled.pk, settled.version, {"value": VALUES[1]}, TEXTS[0] + BIDI, batch, batch=batch
    )
    add_fact(people["otto"], job.pk, "deal", TEXTS[17], VALUES[23], 1.0, TEXTS[13], str(uuid4()))
    job = cast.run_on(job)
    put_off = _question(job, TEXTS[2])
    defer_conflict(people["olga"], put_off.pk, put_off.version, 3600, TEXTS[0] + BIDI, str(uuid4()))
    save_view(people["otto"], TEXTS[1][:60], urlencode({"q": TEXTS[0]}))
    pack = PackRow.objects.get(name="bazaar")
    settings = {"name": TEXTS[11], "kind": "confidence", "keys": ["deal"], "params": {"margin": 0.2}}
    draft = draft_rule(people["otto"], pack.pk, settings, TEXTS[1] + BIDI)
    return World(
        job=job,
        conflict=_question(job, TEXTS[1]),
        hold=Conflict.objects.filter(job=job, kind="hold", status="open")[0],
        settled=Conflict.objects.get(pk=settled.pk),
        rule=pack.rules.get(name=TEXTS[6]),
        draft=draft,
        backtest=start_backtest(people["otto"], draft.pk, receipt=str(uuid4())),
        batch=batch,
        browsers={name: cast.signed_in(user) for name, user in people.items()} | {"stranger": Client()},
        people=people,
        pack="bazaar",
        key="deal",
        subject=TEXTS[1],
    )


def _make_job(people: dict[str, User]) -> Job:
    seeds = [{"key": "case", "subject": text, "value": text} for text in TEXTS]
    seeds += [{"key": "case", "subject": f"value {n}", "value": value} for n, value in enumerate(VALUES)]
    return cast.run_on(submit_job(people["otto"], "bazaar", seeds, TEXTS[1][:200]))


def _question(job: Job, subject: str) -> Conflict:
    return Conflict.objects.get(job=job, key="deal", subject=subject, kind="conflict")


# Where a text of somebody's may stand in an attribute: it is shown, sent back, or a name of ours is compared with it.
SHOWN = {"title", "value", "aria-label", "placeholder", "data-label", "alt", "content"}
COMPARED = {"data-agent", "data-key", "data-kind", "datetime"}
ADDRESSES = {"href", "src", "action", "formaction", "hx-get", "hx-post", "data-personal", "data-copy", "data-socket",
             "data-query", "xlink:href", "data-news"}  # fmt: skip
# `hurt` marks what is somebody's; and these come with no text of ours.
NEVER = {"base", "iframe", "object", "embed", "img", "style", "frame", "applet", "audio", "video", "math"}


# To where a link of ours never leads.
_ENCODED = re.compile(r"[a-z]+-[-\w%.~]+")  # a name of somebody's behind one of ours
_ELSEWHERE = re.compile(r"\s*(//|(?!https?:)[a-z][-a-z0-9+.]*:|https?://hurt)", re.IGNORECASE)


class Inert(HTMLParser):
    """Collects what in a page would be more than text. `wrong` is empty for a page that only shows it."""

    def __init__(self, nonced: bool = True) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.nonced = nonced

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in NEVER and (self.nonced or tag != "style"):
            self.wrong.append(f"<{tag}>")
        if (
            tag == "script"
            and self.nonced
            and not (given.get("src", "").startswith("/static/") and given.get("nonce"))
        ):
            self.wrong.append(f"<script {given}>")
        if tag == "meta" and "http-equiv" in given:
            self.wrong.append("<meta http-equiv>")
        for name, value in given.items():
            self._look_at(tag, name, value)

    handle_startendtag = handle_starttag

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if self.nonced and (name.startswith("on") or name in ("style", "srcdoc", "hx-swap-oob", "hx-on")):
            self.wrong.append(f"<{tag} {name}={value[:60]!r}>")
        if name in ADDRESSES:
            if any(c in value for c in '<>" ') or _ELSEWHERE.match(value):
                self.wrong.append(f"<{tag} {name}={value[:80]!r}>")
        elif (
            "hurt" in value
            and name not in SHOWN | COMPARED
            and not (name == "id" and _ENCODED.fullmatch(value))
        ):
            self.wrong.append(f"<{tag} {name}={value[:80]!r}>")


def what_hurts(html: str, nonced: bool = True) -> list[str]:
    """What of a page or a push is more than text. `nonced`: under the strict policy, which the admin is not."""
    reader = Inert(nonced)
    reader.feed(html)
    reader.close()
    return reader.wrong
