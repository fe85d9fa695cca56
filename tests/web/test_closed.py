"""What is kept of closed pages, and for how long."""

import asyncio
from collections.abc import Callable

from orchestrator.web.closed import ClosedPages, Form, Forms

LD = "application/ld+json"


def forms(size: int, fill: bytes = b"x") -> Forms:
    """Return a page of `size` bytes."""
    return {"identity": Form(fill * size, {})}


def room(pages: int) -> int:
    """Return the bytes in which so many pages of 10 kB fit."""
    return pages * 13_000


async def keep(pages: ClosedPages, number: int, kept: Forms) -> None:
    """Keep a page."""

    async def build() -> Forms:
        return kept

    await pages.make((number, LD), build)


async def test_the_page_that_nobody_asked_for_longest_goes_first() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    await keep(pages, 1, forms(10_000))
    await keep(pages, 2, forms(10_000))
    assert pages.get((1, LD))
    await keep(pages, 3, forms(10_000))
    assert [number for number in (1, 2, 3) if pages.get((number, LD))] == [1, 3]


async def test_an_answer_that_is_remembered_keeps_its_page_and_goes_with_it() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    asked = ("page=1", None, None)
    form = forms(10_000)["identity"]
    await keep(pages, 1, forms(10_000))
    pages.remember(asked, (1, LD), form)
    await keep(pages, 2, forms(10_000))
    assert pages.recall(asked) is form
    await keep(pages, 3, forms(10_000))
    assert pages.get((1, LD))
    await keep(pages, 4, forms(10_000))
    await keep(pages, 5, forms(10_000))
    assert pages.recall(asked) is None


async def test_an_answer_is_forgotten_with_its_page_and_when_the_log_has_grown() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    asked = ("page=1", None, None)
    changes: list[Callable[[], None]] = [lambda: pages.forget(10), lambda: pages.see(30)]
    for change in changes:
        await keep(pages, 1, forms(10_000))
        pages.remember(asked, (1, LD), forms(10_000)["identity"])
        assert pages.recall(asked)
        change()
        assert pages.recall(asked) is None


async def test_questions_of_any_length_and_number_are_not_hoarded() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    form = forms(10)["identity"]
    await keep(pages, 1, forms(10))
    pages.remember(("page=1", "x" * 1_000, None), (1, LD), form)
    assert pages.recall(("page=1", "x" * 1_000, None)) is None
    for number in range(5_000):
        pages.remember((f"page=1&{number}", None, None), (1, LD), form)
    known = sum(pages.recall((f"page=1&{number}", None, None)) is not None for number in range(5_000))
    assert 0 < known <= 1_000


async def test_a_page_that_is_forgotten_while_it_is_made_is_made_again() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    gate = asyncio.Event()
    read = [forms(10, b"erased"), forms(10, b"before")]

    async def build() -> Forms:
        found = read.pop()
        await gate.wait()
        return found

    asking = asyncio.create_task(pages.make((1, LD), build))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pages.forget(3)
    gate.set()
    assert await asking == forms(10, b"erased")
    assert pages.get((1, LD)) == forms(10, b"erased")


async def test_a_page_that_is_kept_is_not_made_again() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    first = forms(10)
    await keep(pages, 1, first)
    await keep(pages, 1, forms(20))
    assert pages.get((1, LD)) is first


async def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    pages = ClosedPages(page_size=10, most=room(2))

    async def fail() -> Forms:
        await asyncio.sleep(0)
        raise ValueError

    asking = [pages.make((1, LD), fail) for _ in range(3)]
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in told] == [ValueError] * 3
    await keep(pages, 1, forms(10))
    assert pages.get((1, LD)) == forms(10)


async def test_one_who_leaves_takes_the_page_from_nobody() -> None:
    pages = ClosedPages(page_size=10, most=room(2))
    gate = asyncio.Event()

    async def build() -> Forms:
        await gate.wait()
        return forms(10)

    leaving, staying = (asyncio.create_task(pages.make((1, LD), build)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    assert await staying == forms(10)
