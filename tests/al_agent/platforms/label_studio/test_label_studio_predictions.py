"""Predictions that a real Label Studio holds are read back as the boxes that were imported."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_server import LabelStudioAdmin, LabelStudioServer

from scorers import formats

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels>
<PolygonLabels name="shape" toName="image"><Label value="cat"/><Label value="dog"/></PolygonLabels></View>"""
WIDTH, HEIGHT = 640, 480


def region(kind: str, score: float | None, **value: Any) -> dict[str, Any]:
    control = "box" if kind == "rectanglelabels" else "shape"
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    scored = {} if score is None else {"score": score}
    return {"from_name": control, "to_name": "image", "type": kind, "value": value, **size, **scored}


def snapshot(admin: LabelStudioAdmin, project: int, path: Path) -> Path:
    """An export with whole predictions in a file, as Label Studio makes it when asked to."""
    exports = f"/api/projects/{project}/exports/"
    body = {"serialization_options": {"predictions": {"only_id": False}}}
    number = admin.answer("POST", exports, body=body)["id"]
    for _ in range(100):
        if admin.answer("GET", f"{exports}{number}")["status"] == "completed":
            break
        time.sleep(0.1)
    path.write_bytes(admin.call("GET", f"{exports}{number}/download", query={"exportType": "JSON"}).content)
    return path


def test_what_was_imported_is_read_back_from_the_tasks_and_from_a_snapshot(
    label_studio_server: LabelStudioServer, tmp_path: Path
) -> None:
    admin = label_studio_server.admin
    project = admin.create_project("Predictions to read")
    admin.set_project(project, {"label_config": CONFIG})
    regions = [
        region("rectanglelabels", 0.75, x=10, y=20, width=50, height=60, rotation=0, rectanglelabels=["dog"]),
        region("polygonlabels", 0.5, points=[[10, 10], [30, 5], [20, 40]], polygonlabels=["cat"]),
        region("rectanglelabels", 0.25, x=50, y=50, width=25, height=10, rotation=30, rectanglelabels=["cat"]),
    ]
    names = ["a b.jpg", "night/c.jpg", "none.jpg"]
    rows: list[dict[str, Any]] = [{"data": {"image": f"https://images.example.com/{name}"}} for name in names]
    rows[0]["predictions"] = [{"model_version": "v1", "result": regions}]
    rows[1]["predictions"] = [{"model_version": "v1", "result": regions[:1]}]
    admin.answer("POST", f"/api/projects/{project}/import", body=rows)

    turn = math.radians(30)  # clockwise, with y downwards, around the upper left corner: 320, 240 of 640 x 480 pixels
    right, down = 160 * np.array([math.cos(turn), math.sin(turn)]), 48 * np.array([-math.sin(turn), math.cos(turn)])
    corners = np.array([np.add([320, 240], side) for side in (0 * right, right, down, right + down)]) / [WIDTH, HEIGHT]
    turned = [*corners.min(axis=0), *corners.max(axis=0)]
    expected = [[0.1, 0.2, 0.6, 0.8], [0.1, 0.05, 0.3, 0.4], turned, [0.1, 0.2, 0.6, 0.8]]

    whole = admin.answer("GET", "/api/tasks", query={"project": project, "fields": "all", "page_size": 1_000_000})
    for tasks in (whole, whole["tasks"], snapshot(admin, project, tmp_path / "tasks.json")):
        predictions = formats.label_studio.detections(tasks, item_ids=names)
        assert predictions.item_ids == tuple(names)
        assert predictions.offsets.tolist() == [0, 3, 4, 4]
        np.testing.assert_allclose(predictions.boxes, expected, atol=1e-6)
        np.testing.assert_allclose(predictions.scores, [0.75, 0.5, 0.25, 0.75], atol=1e-6)
        assert predictions.class_names == ("cat", "dog")
        assert predictions.labels.tolist() == [1, 0, 0, 1]

    page = {"project": project, "fields": "all", "page_size": 1}
    with pytest.raises(ValueError, match="tasks has 1 of 3 tasks; ask for them all: page_size=1000000"):
        formats.label_studio.detections(admin.answer("GET", "/api/tasks", query=page), item_ids=names)
    query = {"exportType": "JSON", "download_all_tasks": "true"}
    exported = admin.answer("GET", f"/api/projects/{project}/export", query=query)
    with pytest.raises(ValueError, match=r"only ids of predictions: take what GET /api/tasks\?project=...&fields=all"):
        formats.label_studio.detections(exported, item_ids=names)
