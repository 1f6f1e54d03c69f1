"""Axe on the page that is shown: all its rules in the light, and in the dark once more those that look at colours.

The dark differs in nothing but colours (`prefers-color-scheme` sets them, and nothing moves there), and to look at a
page is most of what a journey with axe costs.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

ABOUT_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


def violations_of(page: Page) -> list[tuple[str, str, list[str]]]:
    """What is wrong: the scheme, the rule, the first three elements that break it."""
    found = _look(page, "light") + _look(page, "dark", runOnly=ABOUT_COLOURS)
    page.emulate_media(color_scheme="light")
    return found


def _look(page: Page, scheme: Any, **options: Any) -> list[tuple[str, str, list[str]]]:
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    assert page.evaluate(f"() => matchMedia('(prefers-color-scheme: {scheme})').matches")
    said = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    return [(scheme, v["id"], [node["html"][:160] for node in v["nodes"]][:3]) for v in said["violations"]]
