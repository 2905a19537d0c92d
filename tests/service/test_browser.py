"""The pages in a real browser that can reach nothing but this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service import samples
from tests.service.browser import Browser
from tests.service.server import Server

pytestmark = pytest.mark.browser
OPERATION = "#operations-predict-predict"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def docs(browser: Browser, server: Server) -> Browser:
    browser.open(f"{server.url}/docs")
    browser.wait(f"return document.querySelector('{OPERATION}') !== null")
    browser.click(f"{OPERATION} .opblock-summary-control")
    browser.wait(f"return document.querySelectorAll('{OPERATION} input[type=file]').length === 3")
    return browser


def test_the_browser_is_cut_off(browser: Browser, server: Server) -> None:
    """The cut works: a script of ours cannot reach another host, so a page that needs one would show it."""
    browser.open(f"{server.url}/version")
    script = "try { await fetch('https://cdn.example/x.js'); return 'reached' } catch { return 'cut off' }"
    assert browser.run(script) == "cut off"
    browser.complaints()


@pytest.mark.parametrize("format", samples.names())
def test_every_sample_runs_from_swagger_ui(docs: Browser, format: str) -> None:
    """Choose the sample beside the file field, press Execute, and read 200 in the page."""
    docs.run(
        "const menu = document.querySelector(args[0] + ' select[aria-label=\"use a sample file\"]');"
        "menu.value = args[1];"
        "menu.dispatchEvent(new Event('change', {bubbles: true}))",
        OPERATION, format,
    )  # fmt: skip
    name = samples.find(format).filename  # type: ignore[union-attr]
    docs.wait(
        "return document.querySelector(args[0] + ' input[type=file]').files[0]?.name === args[1]", OPERATION, name
    )
    docs.click(f"{OPERATION} button.execute")
    shown = docs.wait(
        "const line = document.querySelector(args[0] + ' .live-responses-table tbody .response-col_status');"
        "const body = document.querySelector(args[0] + ' .live-responses-table pre');"
        "return line && body && body.textContent.includes(args[1]) ? line.textContent.trim() : null",
        OPERATION, f'"format": "{format}"',
    )  # fmt: skip
    assert shown.startswith("200")


def test_nothing_was_asked_of_others(docs: Browser, server: Server) -> None:
    """All that the page loaded came from this server, and neither policy nor cut-off host was complained of."""
    loaded = docs.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded
    assert all(each.startswith(server.url) or each.startswith("data:") for each in loaded)
    assert docs.complaints() == []
    assert Path(server.log).exists()
