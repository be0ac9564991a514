"""A headless Chromium that labels in Label Studio's own pages, as an annotator does."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_S = 60.0
TASK_LABEL = ".lsf-current-task__task-id"
SHOWS_TASK = "([css, id]) => document.querySelector(css)?.firstChild?.textContent.trim() === id"
SUBMIT = "bottombar-submit-button"
SKIP = "bottombar-skip-button"


def find_chromium() -> Path | None:
    """The executable: CHROMIUM, else `chromium` of the PATH, else None."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    return Path(found) if found and Path(found).is_file() else None


def has_playwright() -> bool:
    return importlib.util.find_spec("playwright") is not None


class LabelStudioBrowser:
    """A logged-in annotator's browser, as a context manager.

    Args:
        url: The server's address.
        email: Who logs in.
        password: Their password.
        executable: Path of Chromium; `find_chromium()` by default.
    """

    def __init__(self, url: str, email: str, password: str, *, executable: Path | None = None) -> None:
        found = executable or find_chromium()
        if found is None:
            raise FileNotFoundError("no Chromium: set CHROMIUM or put chromium on the PATH")
        self.executable = found
        self.url = url
        self.email = email
        self.password = password
        self.outside_requests: list[str] = []
        self._cleanup = ExitStack()
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        if self._page is None:
            raise RuntimeError("the browser is not open; use it in a with statement")
        return self._page

    def __enter__(self) -> LabelStudioBrowser:
        from playwright.sync_api import ViewportSize, sync_playwright  # noqa: PLC0415

        with self._cleanup as cleanup:
            profile = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True))
            playwright = cleanup.enter_context(sync_playwright())
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=self.executable,
                headless=True,
                args=FLAGS,
                viewport=ViewportSize(width=1400, height=900),
            )
            cleanup.callback(context.close)
            context.set_default_timeout(TIMEOUT_S * 1000)
            self._page = context.pages[0] if context.pages else context.new_page()
            self._page.on("request", lambda request: self._note(request.url))
            self.log_in()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._page = None
        self._cleanup.close()

    def _note(self, address: str) -> None:
        if not address.startswith((self.url, "data:", "blob:")):
            self.outside_requests.append(address)

    def log_in(self) -> None:
        self.page.goto(f"{self.url}/user/login/")
        self.page.fill("input[name=email]", self.email)
        self.page.fill("input[name=password]", self.password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda address: "/user/login" not in address)

    def open_data_manager(self, project_id: int) -> None:
        self.page.goto(f"{self.url}/projects/{project_id}/data")
        self.page.get_by_role("button", name="Label All Tasks").wait_for()

    def label_all_tasks(self) -> int:
        """Clicks "Label All Tasks"; gives the id of the task that the page shows then."""
        self.page.get_by_role("button", name="Label All Tasks").click()
        return self.shown_task_id()

    def shown_task_id(self) -> int:
        """The number the page shows below the image of a task that is ready to be labeled."""
        self.page.get_by_test_id(SUBMIT).wait_for()
        return int(self.page.locator(TASK_LABEL).inner_text().split()[0].lstrip("#"))

    def choose(self, choice: str) -> None:
        """Ticks one choice of a classification project."""
        self.page.locator(f'.lsf-choice input[name="{choice}"]').check()

    def submit(self) -> int | None:
        """Submits the annotation; gives the id of the task that the page goes to, None when the queue is empty."""
        return self._leave(SUBMIT)

    def skip(self) -> int | None:
        """Skips the task; gives the id of the task that the page goes to, None when the queue is empty."""
        return self._leave(SKIP)

    def _leave(self, button: str) -> int | None:
        with self.page.expect_response(lambda response: "id=next_task" in response.url) as waiting:
            self.page.get_by_test_id(button).click()
        if not waiting.value.ok:  # 404: no more tasks
            return None
        served = int(waiting.value.json()["id"])
        self.page.wait_for_function(SHOWS_TASK, arg=[TASK_LABEL, str(served)])
        return self.shown_task_id()

    def screenshot(self, path: Path) -> Path:
        self.page.screenshot(path=path)
        return path
