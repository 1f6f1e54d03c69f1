"""The page on which a person breaks a tool and heals it again."""

from __future__ import annotations

from html import escape
from typing import Any

from runtime.tools.flaky.modes import MODES, WORDS

BUTTONS = (*MODES, "random:0.3")
TITLES = {"ok": "answers well", "random:0.3": "three requests in ten fail, each in another way", **WORDS}

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0 1rem; }
button { font: inherit; padding: .4rem .8rem; min-height: 2.75rem; border: 1px solid; border-radius: .4rem;
  background: transparent; color: inherit; cursor: pointer; }
button[aria-pressed=true] { background: CanvasText; color: Canvas; }
button:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
"""


def draw_page(state: dict[str, Any]) -> str:
    """The page for `FlakyTools.state()`."""
    tools = "".join(_tool(name, tool) for name, tool in state["tools"].items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Flaky tools</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/_style.css"></head><body><main><h1>Flaky tools</h1>'
        "<p>Simulated tools that fail on command. Break one, submit a job, and watch it degrade and recover.</p>"
        f'{tools}<p><a href="/">Reload</a></p></main></body></html>'
    )


def _tool(name: str, tool: dict[str, Any]) -> str:
    told = ", ".join(f"{count} {escape(mode)}" for mode, count in tool["answered"].items())
    count = tool["requests"]
    said = f"{count} request{'' if count == 1 else 's'}" + f": {told}" * bool(told)
    buttons = "".join(_button(mode, tool["mode"]) for mode in BUTTONS)
    other = "" if tool["mode"] in BUTTONS else f", now <b>{escape(tool['mode'])}</b>"
    return (
        f"<section><h2>{escape(name)}</h2><p>{said}{other}</p>"
        f'<form method="post" action="/_mode"><input type="hidden" name="tool" value="{escape(name)}">'
        f"{buttons}</form></section>"
    )


def _button(mode: str, now: str) -> str:
    pressed = "true" if mode == now else "false"
    title = escape(TITLES[mode])
    return f'<button name="mode" value="{mode}" aria-pressed="{pressed}" title="{title}">{mode}</button>'
