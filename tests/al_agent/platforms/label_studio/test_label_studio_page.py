"""What an annotator sees in a real browser: "Label All Tasks" serves the pushed order, and a link opens its task."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from browser import LabelStudioBrowser, find_chromium, has_playwright
from label_studio_server import LabelStudioServer, find_label_studio
from PIL import Image, ImageDraw

from al_agent.platforms.label_studio import PlatformLabelStudio

N_TASKS = 8
N_SUBMITS = 5

pytestmark = [
    pytest.mark.skipif(find_label_studio() is None, reason="no Label Studio: set LABEL_STUDIO_BIN"),
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: set CHROMIUM"),
    pytest.mark.skipif(not has_playwright(), reason="playwright is not installed"),
]


def draw_numbers(folder: Path, n_images: int) -> list[Path]:
    """One image per number, with the number on it, for the eyes of who looks at a screenshot."""
    paths = [folder / f"img_{number}.png" for number in range(n_images)]
    for number, path in enumerate(paths):
        image = Image.new("RGB", (320, 240), (40 + 25 * number, 120, 220 - 25 * number))
        ImageDraw.Draw(image).text((140, 80), str(number), fill="white", font_size=80)
        image.save(path)
    return paths


def push_order(server: LabelStudioServer, project_id: int, task_ids: Sequence[int]) -> PlatformLabelStudio:
    platform = PlatformLabelStudio(server.url, project_id, api_key=server.token, ids="remote")
    report = platform.push({str(task_id): rank for rank, task_id in enumerate(task_ids)}, verify=True)
    assert report.updated == tuple(map(str, task_ids))
    return platform


def test_label_all_tasks_serves_the_pushed_order_and_a_link_opens_its_task(
    label_studio_server: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path))
    server, admin = label_studio_server, label_studio_server.admin
    project_id = admin.create_project("In a browser", "choices")
    task_ids = admin.import_uploaded_files(project_id, draw_numbers(tmp_path, N_TASKS))
    order = random.Random(3).sample(task_ids, N_TASKS)
    assert order[:2] != sorted(order)[:2]
    platform = push_order(server, project_id, order)

    pictures = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with LabelStudioBrowser(server.url, server.username, server.password) as browser:
        browser.open_data_manager(project_id)
        shown: list[int | None] = [browser.label_all_tasks()]
        for number in range(N_SUBMITS):
            browser.choose("cat")
            browser.screenshot(pictures / f"label_studio_{number}.png")
            shown.append(browser.submit())
        last = next(item for item in platform.list_items() if item.id == str(order[-1]))
        browser.page.goto(platform.link(last))
        linked = browser.shown_task_id()

    assert linked == order[-1]
    assert shown == order[: N_SUBMITS + 1]
    labeled = {task["id"]: task["annotations"] for task in admin.list_tasks(project_id) if task["is_labeled"]}
    assert set(labeled) == set(order[:N_SUBMITS])
    assert all(one["result"][0]["value"] == {"choices": ["cat"]} for (one,) in labeled.values())
    assert browser.outside_requests == []
