"""A headless Chromium that opens a page from disk, and notes what it asks for and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from browser import FLAGS, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).resolve().parents[2] / ".axe" / "node_modules" / "axe-core" / "axe.min.js"
"""`make axe` puts it there."""

WIDE, PHONE = (1280, 900), (390, 844)

_RUN_AXE = """async () => (await axe.run({ resultTypes: ["violations"] })).violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)"""


@dataclass
class OpenPage:
    """A page that is open, and what was noted of it.

    Args:
        page: It, for playwright.
        requests: Addresses that it asked for, but files, data and blobs.
        problems: Errors of its scripts, and messages of its console that are errors.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def serious_issues(self) -> list[str]:
        """What axe-core finds serious or critical, in words."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(_RUN_AXE)
        return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for many pages; WebGL runs on the processor."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def another(browser: Browser, flags: Sequence[str]) -> Iterator[Browser]:
    """One more browser beside the first, with more flags."""
    second = browser.browser_type.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])
    try:
        yield second
    finally:
        second.close()


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    scheme: Literal["dark", "light"] = "light",
    size: tuple[int, int] = WIDE,
    until: str = "body",
) -> Iterator[OpenPage]:
    """A page from disk, once there is what the selector `until` finds."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", offline=True
    )
    context.set_default_timeout(30_000)
    try:
        page = context.new_page()
        noted = OpenPage(page)
        page.on("request", lambda one: noted.requests.append(one.url) if not _is_local(one.url) else None)
        page.on("pageerror", lambda error: noted.problems.append(str(error)))
        page.on("console", lambda message: noted.problems.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        page.wait_for_selector(until, state="attached")
        yield noted
    finally:
        context.close()


def _is_local(address: str) -> bool:
    return address.startswith(("file:", "data:", "blob:"))
