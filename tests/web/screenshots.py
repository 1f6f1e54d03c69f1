"""Pictures of every page, for the README: `python -m tests.web.screenshots [DIR]` (docs/screens/ if none is named).

Starts the real stack in a home of its own, plays the samples that the packs ship, decides a question, drafts a rule and
tries it on the past, and takes each page in four forms: a desk and a phone, light and dark. Chromium itself writes the
WebP, so nothing has to be installed for it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.waiting import eventually
from tests.web.chromium import open_chromium

ROOT = Path(__file__).resolve().parents[2]
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 380, "height": 800}
QUALITY = 56
Scheme = Literal["light", "dark"]
FORMS: list[tuple[str, ViewportSize, Scheme]] = [
    ("desk", DESK, "light"),
    ("desk-dark", DESK, "dark"),
    ("phone", PHONE, "light"),
    ("phone-dark", PHONE, "dark"),
]
# What would differ from one run to the next, or is no part of a page: blinking, what has just arrived, toasts.
STILL = """.toasts { display: none !important; }
*, *::before, *::after { animation: none !important; transition: none !important; caret-color: transparent !important; }
"""

# What people do before the pictures are taken; prints where everything is.
SUBMIT = """
import json
from django.contrib.auth.models import User
from runtime.actions import submit_job
from runtime.agents import find_pack
otto = User.objects.get(username="otto")
jobs = {{}}
for pack, sample, title in {jobs}:
    jobs[title] = submit_job(otto, pack, find_pack(pack).sample_seeds(sample), title).pk
print(json.dumps(jobs))
"""
FIRST = [
    ("incident", "servers", "Night of the servers"),
    ("claims", "polls", "Polls, weighed"),
    ("claims", "severities", "Severities"),
    ("growth", "corner-shop", "Corner shop"),
    ("incident", "latency", "Latency since noon"),
    ("growth", "tidewater", "Spring budget"),
]
IN_BAD_WEATHER = [("growth", "corner-shop", "Corner shop, in bad weather")]
DECIDE = """
from uuid import uuid4
from django.contrib.auth.models import User
from runtime.actions import decide_conflict
from runtime.models import Conflict
ada = User.objects.get(username="ada")
conflict = Conflict.objects.filter(job={job}, kind="conflict", status="open").order_by("id")[0]
value = conflict.sides[0]["value"]
decide_conflict(ada, conflict.pk, conflict.version, {{"value": value}}, "As in the autumn.", str(uuid4()))
"""
DRAFT = """
from uuid import uuid4
from django.contrib.auth.models import User
from runtime.actions.backtests import start_backtest
from runtime.actions.rules import draft_rule
from runtime.models import Pack
otto = User.objects.get(username="otto")
pack = Pack.objects.get(name="growth")
settings = {"name": "surer by a fifth", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 0.2}}
settings["priority"] = 5
draft = draft_rule(otto, pack.pk, settings, "Small leads were right in spring.")
start_backtest(otto, draft.pk, receipt=str(uuid4()))
"""
WHERE = """
import json
from urllib.parse import urlencode
from runtime.models import Answer, Backtest, Conflict, Decision, GovernanceRule, Job
job = Job.objects.get(title="Spring budget")
open_one = Conflict.objects.filter(job=job, status="open").order_by("id")[0]
settled = Decision.objects.filter(by__username="ada").latest("id").conflict
slot = urlencode({"key": open_one.key, "subject": open_one.subject})
newest = Answer.objects.filter(job=job).order_by("-version")[0].version
rule = GovernanceRule.objects.filter(pack__name="growth", state="active").order_by("id")[0]
draft = GovernanceRule.objects.get(name="surer by a fifth")
at = f"/jobs/{job.pk}/"
print(json.dumps({
    "jobs": "/", "new-job": "/jobs/new?pack=growth", "job": at, "job-then": f"{at}?cycle=2",
    "job-answer": f"{at}#panel-answers", "job-timeline": f"{at}#panel-timeline", "job-context": f"{at}#panel-context",
    "timeline": f"{at}timeline/", "inbox": "/inbox/",
    "conflict": f"/conflicts/{open_one.pk}/", "decided": f"/conflicts/{settled.pk}/",
    "slot": f"{at}slots/?{slot}", "context": f"{at}context/?key={open_one.key}", "entry": f"{at}entries/40/",
    "journal": f"{at}journal/", "answer": f"{at}answers/{newest}/",
    "answers": f"{at}answers/1..{newest}/" if newest > 1 else f"{at}answers/1/", "tier": f"{at}tiers/2/",
    "verify": f"{at}verify/", "notices": "/notices/", "tools": "/tools/", "tool": "/tools/search/",
    "runtimes": "/runtimes/", "packs": "/packs/", "pack": "/packs/growth/", "bench": "/packs/growth/bench/",
    "rules": "/rules/", "rule": f"/rules/{rule.pk}/", "draft": f"/rules/{draft.pk}/",
    "backtest": f"/backtests/{Backtest.objects.latest('id').pk}/", "keys": "/keys/",
}))
"""


def main(directory: Path) -> None:
    """Plays and takes all the pictures."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")
    import tests.environment  # noqa: F401  # a home of its own, before the settings are read
    from tests.web.stack import Stack

    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="converge-screens-") as home:
        stack = Stack(Path(home))
        try:
            stack.start()
            pages = play(stack)
            with open_chromium() as browser:
                for form, size, scheme in FORMS:
                    take_all(browser, stack.url, pages, directory, form, size, scheme)
        finally:
            stack.stop()
    total = sum(path.stat().st_size for path in directory.glob("*.webp"))
    print(f"{len(list(directory.glob('*.webp')))} pictures, {total / 1e6:.2f} MB in {directory}")


def play(stack: Any) -> dict[str, str]:
    """What happens before; the pages by name, in the order in which a person would see them."""
    jobs = submit(stack, FIRST)
    stack.manage("shell", "-c", DECIDE.format(job=jobs["Spring budget"]))
    assert eventually(lambda: stack.is_idle(jobs["Spring budget"]), 60)
    stack.manage("shell", "-c", DRAFT)
    assert eventually(stack.is_tried, 60)
    stack.manage("flaky_tools", "search=down")
    submit(stack, IN_BAD_WEATHER)
    found: dict[str, str] = last_json(stack.manage("shell", "-c", WHERE))
    return found


def submit(stack: Any, jobs: list[tuple[str, str, str]]) -> dict[str, int]:
    """Submits samples as Otto and waits until each has stopped; their numbers by title."""
    numbers: dict[str, int] = last_json(stack.manage("shell", "-c", SUBMIT.format(jobs=jobs)))
    assert eventually(lambda: all(stack.is_idle(job) for job in numbers.values()), 90)
    return numbers


def last_json(said: str) -> Any:
    return json.loads(said.strip().splitlines()[-1])


def take_all(
    browser: Browser,
    url: str,
    pages: dict[str, str],
    directory: Path,
    form: str,
    size: ViewportSize,
    scheme: Scheme,
) -> None:
    """Every page in one form, as Ada sees it, who sees most."""
    context = browser.new_context(
        base_url=url, viewport=size, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Berlin",
        is_mobile=form.startswith("phone"), reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.goto("/sign-in/")
    take(context, page, directory / f"sign-in.{form}.webp")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("pass of ada")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")
    for name, path in pages.items():
        page.goto(path)
        take(context, page, directory / f"{name}.{form}.webp")
    page.goto("/admin/")
    take(context, page, directory / f"admin.{form}.webp")
    context.close()


def take(context: BrowserContext, page: Page, path: Path) -> None:
    """One picture: of what is seen without scrolling, once it is live."""
    page.wait_for_load_state("networkidle")
    if page.locator("#live-state").count():
        page.wait_for_function(
            "() => document.getElementById('live-state').dataset.state === 'live'", timeout=10_000
        )
    page.evaluate(
        """(text) => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(text);
            document.adoptedStyleSheets = [sheet];
        }""",
        STILL,
    )
    page.evaluate(
        """() => {
            document.activeElement?.blur();
            if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
            return new Promise(requestAnimationFrame);
        }"""
    )
    session = context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    session.detach()
    path.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screens")
