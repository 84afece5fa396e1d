"""A headless Chromium of this machine that is kept off the network."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opened import DESKTOP, Opened

sys.path.append(str(Path(__file__).parent.parent / "reports"))  # the made-up runs

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "msedge")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser; without one, or without the package that drives it, these tests are skipped and say so."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e .[browser]"
    )
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium on this machine: none of {', '.join(NAMES)} is on the PATH")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file: `look(path, view="#...", size=DESKTOP, scheme="light")`. Whatever it logs fails the test."""
    opened: list[Opened] = []
    contexts: list[Any] = []

    def open_page(path: Path, view: str = "", size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Opened:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        contexts.append(context)
        opened.append(Opened(context.new_page(), path.as_uri() + view))
        return opened[-1]

    yield open_page
    for page in opened:
        assert page.said == []
        assert page.asked == []
    for context in contexts:
        context.close()
