"""Times: exact in UTC without script, relative with the exact one on hover with it, and never seen in another form."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.test import Client

from converge_site.templatetags.converge import clock, when
from runtime.models import Job
from tests.web.played import played

AT = dt.datetime(2026, 3, 29, 0, 59, 58, tzinfo=dt.UTC)
# Every form in which a time was on the page when a frame was painted.
SEEN = """
window.seen = new Set();
const look = () => {
    for (const time of document.querySelectorAll("time")) window.seen.add(`${time.textContent}|${time.title}`);
    requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def test_without_script_it_is_exact_in_utc() -> None:
    assert when(AT) == (
        '<time datetime="2026-03-29T00:59:58+00:00" title="2026-03-29 00:59:58 UTC">2026-03-29 00:59 UTC</time>'
    )
    assert 'title="2026-03-29 00:59:58 UTC" data-clock>2026-03-29 00:59 UTC</time>' in clock(AT)
    assert when(None) == clock(None) == "–"


def test_every_time_of_every_page_is_a_time_element(vera: Client, waiting_job: Job) -> None:
    for path in (
        "/",
        f"/jobs/{waiting_job.pk}/",
        "/inbox/",
        f"/jobs/{waiting_job.pk}/answers/1/",
        "/notices/",
        "/rules/",
    ):
        html = vera.get(path).content.decode()
        outside = re.sub(r"<time .*?</time>|<(script|style|svg).*?</\1>", "", html, flags=re.DOTALL)
        assert not re.findall(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", outside), path
        assert all(' title="' in time for time in re.findall(r"<time [^>]*>", html)), path


@pytest.mark.browser
def test_it_is_relative_in_the_viewers_zone_from_the_first_paint(vera: Client, waiting_job: Job) -> None:
    zone = {"timezone_id": "America/New_York", "locale": "en-GB"}
    with played(vera, **zone) as window:
        window.context.add_init_script(SEEN)
        window.page.goto(f"/jobs/{waiting_job.pk}/")
        window.page.wait_for_function("() => window.seen.size > 0")
        seen = window.page.evaluate("() => [...window.seen]")
        assert all(" UTC|" not in form and ("ago|" in form or "now|" in form) for form in seen), seen
        assert all(re.search(r"\d\d:\d\d:\d\d (EDT|EST|GMT-[45]) \(.* UTC\)$", form) for form in seen), seen


@pytest.mark.browser
def test_what_is_pushed_is_told_before_it_is_painted_and_kept_fresh(vera: Client, waiting_job: Job) -> None:
    with played(vera) as window:
        window.context.add_init_script(SEEN)
        window.page.clock.install()
        window.page.goto(f"/jobs/{waiting_job.pk}/")
        tag = "new Date(Date.now() - 60000).toISOString()"
        window.page.evaluate(
            f"""() => {{
            const box = document.createElement("p");
            box.innerHTML = `<time id="fresh" datetime="${{{tag}}}">2026-01-01 10:00 UTC</time>`;
            document.getElementById("main").append(box);
        }}"""
        )
        fresh = window.page.locator("#fresh")
        assert fresh.inner_text() == "1 min. ago"
        window.page.clock.run_for(70_000)
        assert fresh.inner_text() == "2 min. ago"
        # A morph that sets another moment, or the server's own words for it.
        fresh.evaluate(
            "(time) => { time.dateTime = new Date(Date.now() - 7200000).toISOString(); time.textContent = 'x'; }"
        )
        assert fresh.inner_text() == "2 hr. ago"
        window.page.clock.run_for(50)
        assert not [form for form in window.page.evaluate("() => [...window.seen]") if " UTC|" in form]
        assert window.wrongs() == []
