"""What waits for one viewer: a window to daphne, a cap on all, and only the newest of a page that is sent whole."""

from __future__ import annotations

import asyncio

import pytest

from converge_site.live.outbox import Outbox

SOON = 0.01


async def given(outbox: Outbox) -> list[str]:
    """What may be sent now."""
    texts: list[str] = []
    try:
        while (text := await outbox.get(SOON)) is not None:
            texts.append(text)
    except TimeoutError:
        pass
    return texts


async def test_frames_come_in_order() -> None:
    outbox = Outbox()
    for text in "abc":
        assert outbox.put(text)
    assert await given(outbox) == ["a", "b", "c"]


async def test_no_more_than_the_window_is_under_way() -> None:
    outbox = Outbox(window=100)
    for number in range(5):
        outbox.put(str(number) * 40)
    assert len(await given(outbox)) == 2
    outbox.acknowledge(1)
    assert len(await given(outbox)) == 1
    outbox.acknowledge(3)
    assert len(await given(outbox)) == 2
    assert (outbox.waiting, outbox.under_way) == (0, 80)


async def test_a_frame_larger_than_the_window_goes_alone() -> None:
    outbox = Outbox(window=10)
    outbox.put("x" * 50)
    outbox.put("y")
    assert await given(outbox) == ["x" * 50]
    outbox.acknowledge(1)
    assert await given(outbox) == ["y"]


async def test_a_viewer_that_reads_nothing_is_given_up() -> None:
    outbox = Outbox(most=100, window=50)
    assert outbox.put("x" * 60)
    assert outbox.put("x" * 40)
    assert not outbox.put("x")
    assert outbox.is_closed
    assert not outbox.put("")
    assert await outbox.get(SOON) is None


async def test_acknowledgements_make_room() -> None:
    outbox = Outbox(most=100)
    for _ in range(4):
        assert outbox.put("x" * 25)
    await given(outbox)
    outbox.acknowledge(3)
    assert outbox.under_way == 25
    outbox.acknowledge(1)
    outbox.acknowledge(-5)
    assert outbox.under_way == 25
    assert outbox.put("x" * 75)
    assert not outbox.put("x")


async def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    outbox = Outbox(most=100)
    outbox.put("x" * 60)
    outbox.acknowledge(10**30)
    assert not outbox.put("x" * 60)


async def test_bytes_are_counted_and_no_characters() -> None:
    assert Outbox(most=100).put("\N{GRINNING FACE}" * 30)
    outbox = Outbox(most=100)
    outbox.put("x")
    assert not outbox.put("\N{GRINNING FACE}" * 30)


async def test_one_large_catch_up_is_let_through() -> None:
    assert Outbox(most=10).put("x" * 500)


async def test_of_a_page_only_the_newest_waits() -> None:
    outbox = Outbox(window=10)
    outbox.put("first", "page")
    outbox.put("row 1")
    assert await given(outbox) == ["first", "row 1"]
    for text in ("second", "third"):
        outbox.put(text, "page")
        outbox.put(f"row of {text}")
    outbox.put("another", "other page")
    outbox.acknowledge(2)
    outbox._window = 1_000
    assert await given(outbox) == ["row of second", "third", "row of third", "another"]


async def test_a_thousand_pages_that_nobody_reads_cost_one() -> None:
    outbox = Outbox(most=1_000, window=100)
    for number in range(1_000):
        assert outbox.put(f"{number:100}", "page")
    assert outbox.waiting + outbox.under_way == 100


@pytest.mark.parametrize("act", ["put", "close", "poke"])
async def test_a_reader_that_waits_is_woken(act: str) -> None:
    outbox = Outbox()
    reader = asyncio.create_task(outbox.get(60))
    await asyncio.sleep(0)
    match act:
        case "put":
            outbox.put("x")
            assert await reader == "x"
        case "close":
            outbox.close()
            assert await reader is None
        case "poke":
            outbox.poke()
            with pytest.raises(TimeoutError):
                await reader
