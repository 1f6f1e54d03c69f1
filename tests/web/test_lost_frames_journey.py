"""A real browser whose line loses a frame: it notices, comes back from its cursor, and shows every entry once."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from tests.web.journeys import OPEN_FORMS, answer_first, expect_gapless, expect_status, open_as, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


class LossyLine:
    """Between page and server. It loses the first frame that has new entries."""

    def __init__(self) -> None:
        self.connections = 0
        self.lost = 0

    def carry(self, line: WebSocketRoute) -> None:
        """Takes a socket that the page opens."""
        self.connections += 1
        server = line.connect_to_server()

        def to_page(message: str | bytes) -> None:
            frame = json.loads(message)
            if not self.lost and frame.get("to", 0) > frame.get("after", 0):
                self.lost = frame["to"]
            else:
                line.send(message)

        server.on_message(to_page)


def test_a_frame_that_was_lost_is_made_up_for(stack: Stack, browser: Browser) -> None:
    line = LossyLine()
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "vera") as vera:
        job = submit_sample(otto, "On a bad line")
        expect_status(otto, "Waiting for people")
        vera.route_web_socket("**/ws/**", line.carry)
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        for open_forms, choice in ((2, "saturated"), (1, "saturated"), (1, "Approve")):
            expect(otto.locator(OPEN_FORMS)).to_have_count(open_forms)
            answer_first(otto, choice, "")
        expect_status(otto, "Converged")
        expect_status(vera, "Converged")
        expect_gapless(vera, stack.head_of(job))
    assert line.lost
    assert line.connections > 1, "it came back from its cursor"
