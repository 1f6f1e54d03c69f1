"""What people do in a browser, and what they look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.stack import Stack

# What is on the page and on its reload, with what may differ taken out: the tokens of forms, relative times, what a
# person unfolded, the mark of what has just arrived.
PANELS = """() => [...document.querySelectorAll(
    "#panel-header, #panel-moment, #panel-why, #panel-chart, #panel-conflicts, #panel-answers, #panel-timeline, " +
    "#panel-context, #journal-rows"
)].map((panel) => {
    const copy = panel.cloneNode(true);
    for (const gone of copy.querySelectorAll("input[type=hidden], time, #journal-older")) gone.remove();
    for (const element of copy.querySelectorAll("*")) {
        for (const name of ["data-touched", "hx-target"]) element.removeAttribute(name);
        element.classList.remove("is-new", "htmx-request");
        if (element.getAttribute("class") === "") element.removeAttribute("class");
    }
    return [panel.id, copy.innerHTML.replace(/>\\s+/g, ">").replace(/\\s+</g, "<").replace(/\\s+/g, " ")];
})"""


# How long a journey waits for what must come, in ms. No claim: what is slow on a busy machine is no failure.
PATIENCE = 60_000


# Slots of the sample, as they are while it waits for people.
OPEN_FORMS = ".conflict form[id^='decide-form-']"  # one on each question that this person may answer now


CONTESTED = "slots/?key=outlook&subject=Short+video+ads"


STANDING = "slots/?key=economics&subject=Short+video+ads"


SEQS = "() => [...document.querySelectorAll('#journal-rows .entry')].map((row) => Number(row.dataset.seq))"


@contextmanager
def open_as(browser: Browser, stack: Stack, name: str, path: str = "/") -> Iterator[Page]:
    """A browser of its own in which somebody is signed in. Errors on the page fail the journey."""
    context = browser.new_context(
        base_url=stack.url, viewport={"width": 1280, "height": 900}, storage_state=stack.sessions.get(name)
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None
    )
    try:
        page.goto(path)
        if name not in stack.sessions:
            sign_in(page, name)
            page.wait_for_url(f"**{path}")
            stack.sessions[name] = context.storage_state()
        yield page
    finally:
        context.close()
    assert wrong == []


def sign_in(page: Page, name: str) -> None:
    """Through the form."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"pass of {name}")
    page.get_by_role("button", name="Sign in").click()


def submit_sample(page: Page, title: str) -> int:
    """The growth sample, from the form; the number of the job."""
    page.goto("/jobs/new")
    page.get_by_role("link", name="Marketing growth").click()
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    found = re.search(r"/jobs/(\d+)/$", page.url)
    assert found
    return int(found.group(1))


def expect_to_fit(page: Page, width: int) -> None:
    """Nothing sticks out of a window so wide. A page that was just arrived at has its styles only when it is loaded."""
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_load_state("load")
    page.wait_for_function("(width) => window.innerWidth === width", arg=width)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def expect_status(page: Page, words: str, seconds: float = PATIENCE / 1_000) -> None:
    expect(page.locator("#panel-header .status.pill")).to_contain_text(words, timeout=seconds * 1_000)


def answer_first(page: Page, choice: str, reason: str) -> None:
    """Answers the first open question of the page."""
    form = page.locator(OPEN_FORMS).first
    form.locator(".choice", has_text=choice).first.click()
    form.get_by_label("Reason").fill(reason)
    form.locator("button.primary").click()


def expect_gapless(page: Page, head: int) -> None:
    assert eventually(lambda: page.evaluate(SEQS)[-1:] == [head]), page.evaluate(SEQS)[-3:]
    seqs = page.evaluate(SEQS)
    assert seqs == list(range(seqs[0], head + 1))


def same_rows(loaded: list[list[str]], pushed: list[list[str]]) -> bool:
    """Whether page plus fragments equals the page reloaded, panel by panel (D8.3).

    The journal of a page load begins later than one that was watched from the start: it must be its end."""
    for (name, fresh), (_, grown) in zip(loaded, pushed, strict=True):
        if name == "journal-rows":
            assert grown.endswith(fresh), f"{name}\n{fresh[:400]}\n{grown[-400:]}"
        else:
            assert fresh == grown, f"{name}: {first_difference(fresh, grown)}"
    return True


def first_difference(one: str, other: str) -> str:
    pairs = enumerate(zip(one, other, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    around = slice(max(0, place - 120), place + 160)
    return f"reloaded …{one[around]}… but pushed …{other[around]}…"


def expect_settled(page: Page) -> None:
    """No question whose answer is under way: its card is about to change once more."""
    expect(page.locator(".decide .notice.info")).to_have_count(0)
    page.wait_for_function(
        """() => new Promise((done) => {
            const seen = document.querySelector("#main").innerHTML;
            setTimeout(() => done(seen === document.querySelector("#main").innerHTML), 700);
        })"""
    )
