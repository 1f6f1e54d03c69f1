"""Journeys through the real stack in a real browser: `manage.py up`, a worker, sockets, Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

# What is on the page and on its reload, with what may differ taken out: the tokens of forms, relative times, what a
# person unfolded, the mark of what has just arrived.
PANELS = """() => [...document.querySelectorAll(
    "#panel-header, #panel-why, #panel-chart, #panel-conflicts, #panel-answers, #panel-context, #journal-rows"
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
# Slots of the sample, as they are while it waits for people.
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
    page.set_default_timeout(10_000)
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


def expect_status(page: Page, words: str) -> None:
    expect(page.locator("#panel-header .status.pill")).to_contain_text(words, timeout=20_000)


def answer_first(page: Page, choice: str, reason: str) -> None:
    """Answers the first open question of the page."""
    form = page.locator(".conflict form").first
    form.locator(".choice", has_text=choice).first.click()
    form.get_by_label("Reason").fill(reason)
    form.get_by_role("button").click()


def expect_gapless(page: Page, head: int) -> None:
    assert eventually(lambda: page.evaluate(SEQS)[-1:] == [head], 10), page.evaluate(SEQS)[-3:]
    seqs = page.evaluate(SEQS)
    assert seqs == list(range(seqs[0], head + 1))


def test_otto_submits_watches_decides_and_sees_it_converge(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Spring budget")
        page.evaluate("() => { window.neverReloaded = true; }")
        expect_status(page, "Waiting for people")
        expect(page.locator("#live-state")).to_contain_text("Live")
        expect(page.locator(".ladder .reached")).to_have_count(1)
        expect(page.locator("#inbox-badge")).to_be_visible()
        expect(page.locator("#panel-why")).to_contain_text("2 questions are open")

        answer_first(page, "saturated", "the next euro loses money")
        expect(page.locator(".conflict form")).to_have_count(1)
        expect_status(page, "Waiting for people")
        answer_first(page, "saturated", "so does this one")

        hold = page.locator(".conflict", has_text="Approve?")
        expect(hold).to_be_visible()
        expect(page.locator(".ladder .reached")).to_have_count(2)
        answer_first(page, "Approve", "agreed")

        expect_status(page, "Converged")
        expect(page.locator(".ladder .reached")).to_have_count(3)
        expect(page.locator("#panel-answers")).to_contain_text("tier 3 of 3")
        expect(page.get_by_role("link", name="Clone")).to_be_visible()
        assert page.evaluate("() => window.neverReloaded") is True

        expect_gapless(page, stack.head_of(job))
        pushed = page.evaluate(PANELS)
        page.reload()
        assert same_rows(page.evaluate(PANELS), pushed)


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


def test_every_stop_on_the_way_equals_its_reload(stack: Stack, browser: Browser) -> None:
    """Vera watches while Otto answers; at each stop her page equals the same page loaded afresh."""
    with (
        open_as(browser, stack, "otto") as otto,
        open_as(browser, stack, "vera") as vera,
        open_as(browser, stack, "vera") as fresh,
    ):
        job = submit_sample(otto, "Watched")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        for open_forms, choice in ((2, "promising"), (1, "saturated"), (1, "Approve")):
            expect(otto.locator(".conflict form")).to_have_count(open_forms)
            answer_first(otto, choice, "")
            assert eventually(lambda: stack.is_idle(job), 15)
            head = str(stack.head_of(job))
            assert eventually(lambda head=head: vera.locator("#main").get_attribute("data-last") == head, 10)
            expect_settled(vera)
            fresh.goto(f"/jobs/{job}/")
            assert same_rows(fresh.evaluate(PANELS), vera.evaluate(PANELS))
        expect_status(vera, "Converged")


def expect_settled(page: Page) -> None:
    """No question whose answer is under way: its card is about to change once more."""
    expect(page.locator(".decide .notice.info")).to_have_count(0)
    page.wait_for_function(
        """() => new Promise((done) => {
            const seen = document.querySelector("#main").innerHTML;
            setTimeout(() => done(seen === document.querySelector("#main").innerHTML), 700);
        })"""
    )


def test_vera_watches_and_cannot_decide(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "vera") as vera:
        job = submit_sample(otto, "For Vera to see")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        expect(vera.locator("#conflict-cards .conflict")).to_have_count(2)
        expect(vera.locator(".conflict form")).to_have_count(0)
        expect(vera.locator("#conflict-cards")).to_contain_text("Deciding needs the role operator")
        expect(vera.get_by_role("link", name="New job")).to_have_count(0)

        card = vera.locator("#conflict-cards .conflict").first.get_attribute("id")
        assert card
        answer = vera.evaluate(
            """async (number) => {
                const headers = JSON.parse(document.body.getAttribute("hx-headers"));
                const body = new URLSearchParams({choice: "0", version: "x", receipt: "from-vera-1"});
                const sent = await fetch(`/conflicts/${number}/decide/`, {method: "POST", headers, body});
                return [sent.status, await sent.text()];
            }""",
            card.removeprefix("conflict-"),
        )
        assert answer[0] == 403
        assert "Deciding needs the role operator; you are signed in as a viewer." in answer[1]

        answer_first(otto, "promising", "")
        expect(vera.locator("#conflict-cards .conflict")).to_have_count(1)
        expect(vera.locator(".settled")).to_contain_text("decided")


def test_a_dropped_socket_comes_back_with_nothing_missing_or_doubled(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "vera") as vera, open_as(browser, stack, "otto") as otto:
        vera.add_init_script(
            """const Real = window.WebSocket;
            window.sockets = [];
            window.WebSocket = class extends Real {
                constructor(...args) { super(...args); window.sockets.push(this); }
            };"""
        )
        job = submit_sample(otto, "Through a bad line")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        for round_, choice in enumerate(("saturated", "saturated", "Approve"), start=1):
            vera.evaluate("() => window.sockets.at(-1).close()")
            answer_first(otto, choice, "")
            assert eventually(lambda n=round_: vera.evaluate("() => window.sockets.length") > n, 10)
            expect(otto.locator(".decide .notice.info")).to_have_count(0)
            if round_ < 3:
                expect(otto.locator(".conflict form")).to_have_count(1)
        expect_status(otto, "Converged")
        expect_status(vera, "Converged")
        expect_gapless(vera, stack.head_of(job))
        expect(vera.locator("#live-state")).to_contain_text("Live")


def test_what_a_person_types_survives_a_push(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        job = submit_sample(otto, "Typing")
        expect(otto.locator(".conflict form")).to_have_count(2)
        ada.goto(f"/jobs/{job}/")
        second = ada.locator(".conflict form").nth(1).get_by_label("Reason")
        second.fill("half a sente")
        answer_first(otto, "promising", "")
        expect(ada.locator(".conflict form")).to_have_count(1)
        left = ada.locator(".conflict form").get_by_label("Reason")
        expect(left).to_have_value("half a sente")
        expect(left).to_be_focused()


def test_the_list_and_the_inbox_move_by_themselves(stack: Stack, browser: Browser) -> None:
    with (
        open_as(browser, stack, "vera", "/?q=moving") as jobs,
        open_as(browser, stack, "otto") as otto,
        open_as(browser, stack, "ada", "/inbox/") as inbox,
    ):
        expect(jobs.locator("#job-list")).to_be_visible()
        job = submit_sample(otto, "Moving row")
        row = jobs.locator(f"#job-{job}")
        expect(row).to_contain_text("Waiting for people")
        cards = inbox.locator(".conflict", has_text="Moving row")
        expect(cards).to_have_count(2)
        form = cards.first.locator("form")
        form.locator(".choice", has_text="promising").click()
        form.get_by_role("button").click()
        expect(cards).to_have_count(1)
        otto.goto(f"/jobs/{job}/")
        answer_first(otto, "promising", "")
        expect(row).to_contain_text("2/3")


def test_ada_changes_a_rule_and_only_the_next_job_obeys_it(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "ada") as ada:
        running = submit_sample(ada, "Under the old rule")
        expect_status(ada, "Waiting for people")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(2)

        change_margin(ada, "0.1")
        ada.goto(f"/jobs/{running}/")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(2)
        answer_first(ada, "promising", "still asked")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(1)

        following = submit_sample(ada, "Under the new rule")
        expect(ada.locator(".conflict", has_text="Approve?")).to_be_visible()
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(1)
        assert following != running
        change_margin(ada, "0.4")


def change_margin(page: Page, margin: str) -> None:
    """Ada's way through the admin to the rule that decides by margin."""
    page.goto("/admin/runtime/governancerule/?q=clear+margin")
    page.locator("#result_list").get_by_role("link", name="clear margin").click()
    page.locator("[name=params]").fill(f'{{"margin": {margin}}}')
    page.locator("[name=why]").fill("tried out in a journey")
    page.locator("[name=_save]").click()
    expect(page.locator("body")).to_contain_text("successfully")


def test_pages_work_without_script(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto("/sign-in/")
    sign_in(page, "otto")
    page.goto("/jobs/new?pack=growth")
    rows = page.locator("[name=k1-row]").count()
    page.get_by_role("button", name="Add").nth(1).click()
    expect(page.locator("[name=k1-row]")).to_have_count(rows + 1)
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))

    def is_waiting() -> bool:
        page.reload()
        return "Waiting for people" in page.locator("#panel-header").inner_text()

    assert eventually(is_waiting, 20)
    answer_first(page, "promising", "by hand")
    expect(page.locator(".notice.good")).to_contain_text("applied at the start")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_accessibility_violation(stack: Stack, browser: Browser, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(
        base_url=stack.url, color_scheme=scheme, viewport={"width": 1280, "height": 900}
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/sign-in/")
    found = [("/sign-in/", Axe().run(page).response["violations"])]
    sign_in(page, "otto")
    job = submit_sample(page, "For axe")
    expect_status(page, "Waiting for people")
    paths = [
        f"/jobs/{job}/",
        "/",
        "/inbox/",
        "/packs/",
        "/packs/growth/",
        "/jobs/new?pack=growth",
        f"/jobs/{job}/journal/",
    ]
    paths += [
        "/jobs/new?pack=growth&mode=paste",
        f"/jobs/{job}/entries/40/",
        f"/jobs/{job}/answers/1/",
        f"/jobs/{job}/answers/1..2/",
        f"/jobs/{job}/{CONTESTED}",
        f"/jobs/{job}/{STANDING}",
        f"/jobs/{job}/facts/new",
        "/tools/",
        "/tools/?q=none-like-it",
        "/tools/search/",
        "/nowhere/",
    ]
    for path in paths:
        page.goto(path)
        found.append((path, Axe().run(page).response["violations"]))
    context.close()
    told = [
        (path, violation["id"], [node["html"][:160] for node in violation["nodes"]][:3])
        for path, violations in found
        for violation in violations
    ]
    assert told == []


def test_older_entries_load_on_demand_and_filters_hold(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Long journal")
        expect_status(page, "Waiting for people")
        page.goto(f"/jobs/{job}/")
        head = stack.head_of(job)
        assert page.evaluate(SEQS) == list(range(head - 99, head + 1))
        page.get_by_role("link", name="Load older entries").click()
        expect(page.locator("#e1")).to_be_attached()
        assert page.evaluate(SEQS) == list(range(1, head + 1))

        page.goto(f"/jobs/{job}/?kind=inbox")
        expect(page.locator("#journal-empty")).to_be_visible()
        expect(page.locator("#live-state")).to_contain_text("Live")
        answer_first(page, "promising", "only this is shown")
        expect(page.locator("#journal-rows .entry")).to_have_count(1)
        expect(page.locator("#journal-rows .entry")).to_contain_text("only this is shown")


def test_pages_fit_a_phone(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "On a phone")
        expect_status(page, "Waiting for people")
        page.set_viewport_size({"width": 380, "height": 800})
        paths = [f"/jobs/{job}/", "/", "/inbox/", "/packs/", "/packs/growth/", "/jobs/new?pack=growth"]
        paths += ["answers/1/", "answers/1..2/", "entries/40/", "journal/", CONTESTED, STANDING, "facts/new"]
        paths += ["/tools/", "/tools/search/", "/tools/?q=none-like-it"]
        for path in [path if path.startswith("/") else f"/jobs/{job}/{path}" for path in paths]:
            page.goto(path)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 380, path


@pytest.mark.parametrize("count", ["164", "2164"])
def test_the_navigation_of_an_admin_fits_a_phone_with_a_full_inbox(
    stack: Stack, browser: Browser, count: str
) -> None:
    with open_as(browser, stack, "ada") as page:
        page.set_viewport_size({"width": 380, "height": 800})
        page.goto("/packs/")
        # In one go: a push may tell the true number at any moment.
        fill = "(count) => { const badge = document.getElementById('inbox-badge'); badge.hidden = false;"
        fill += " badge.firstChild.data = count; return document.documentElement.scrollWidth; }"
        assert page.evaluate(fill, count) <= 380
        expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Admin")).to_be_visible()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_slot_moves_by_itself_while_people_act_in_it(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "One slot")
        expect_status(page, "Waiting for people")
        page.goto(f"/jobs/{job}/{CONTESTED}")
        page.evaluate("() => { window.neverReloaded = true; }")
        expect(page.locator("#live-state")).to_contain_text("Live")
        page.locator("#say-value").fill("fading")
        answer_first(page, "saturated", "decided from the slot")
        expect(page.locator("#slot-view .panel-head .status").first).to_contain_text("stands", timeout=20_000)
        expect(page.locator("#sent-by-people")).to_contain_text("applied in cycle")
        expect(page.get_by_role("heading", name="Undo the operator's decision")).to_be_visible()
        expect(page.locator("#say-value")).to_have_value("fading")
        assert page.evaluate("() => window.neverReloaded") is True

        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".notice.good")).to_contain_text("applied at the start")
        expect(page.get_by_role("button", name="Withdraw what I said")).to_be_visible(timeout=20_000)
        page.locator(".choice", has_text="Nothing stands").click()
        page.get_by_role("button", name="Decide", exact=True).click()
        expect(page.locator("#slot-view .panel-head .status").first).to_contain_text(
            "nothing stands", timeout=20_000
        )
