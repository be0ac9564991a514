"""The tutorials on platforms, and that on a large pool, run from top to bottom: on a real Label Studio, and on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kili_double import KiliDouble
from label_studio_server import LabelStudioServer
from notebooks import TUTORIALS, pictures_of, run_notebook, text_of
from superannotate_double import SuperAnnotateDouble

BOXES = {
    "CELLS": {
        "mlTask": "OBJECT_DETECTION",
        "tools": ["rectangle"],
        "content": {"categories": {"WBC": {"name": "WBC"}, "PLATELETS": {"name": "Platelets"}}},
    }
}


def some_photos(sample_data: Path) -> list[str]:
    """The names of the first 60 photos."""
    return sorted(path.name for path in (sample_data / "blood_cells" / "images").iterdir())[:60]


def environment(sample_data: Path, folder: Path, **variables: str) -> dict[str, str]:
    return {"AL_AGENT_DATA": str(sample_data), "AL_AGENT_HOME": str(folder / "home"), **variables}


def pushes(text: str) -> list[dict[str, Any]]:
    """The counts of the pushes that a notebook printed, without zeros."""
    found = [json.loads(line.replace("'", '"')) for line in re.findall(r"^pushed: (.*)$", text, re.MULTILINE)]
    return [{name: count for name, count in counts.items() if count} for counts in found]


def test_03_label_studio_serves_both_batches_in_their_order(
    sample_data: Path, label_studio_server: LabelStudioServer, tmp_path: Path
) -> None:
    server = {"LABEL_STUDIO_URL": label_studio_server.url, "LABEL_STUDIO_API_KEY": label_studio_server.token}
    done = run_notebook(TUTORIALS / "03_label_studio.ipynb", tmp_path, environment(sample_data, tmp_path, **server))
    text = text_of(done)
    assert "60 photos, 0 labeled" in text
    assert pushes(text) == [{"updated": 10}, {"updated": 10}]
    assert text.count("served in the order of the batch: True") == 2
    assert "round-2-coral {'unlabeled': 50, 'labeled': 10" in text
    assert "{'sampling': 'Sequential sampling', 'model_version': ''}" in text
    assert pictures_of(done) == 1
    assert (tmp_path / "label_studio_round.html").stat().st_size > 1_000_000
    (project,) = re.findall(rf"^{label_studio_server.url}/projects/(\d+)/data$", text, re.MULTILINE)
    tasks = label_studio_server.admin.list_tasks(int(project))
    assert sum(len(task["annotations"]) for task in tasks) == 20
    label_studio_server.admin.delete_project(int(project))


def test_04_kili_gets_priorities_and_boxes_and_the_next_round_takes_its_turn(sample_data: Path, tmp_path: Path) -> None:
    with KiliDouble(json_interface={"jobs": BOXES}) as double:
        names = some_photos(sample_data)
        double.add_assets(names)
        for name in names[:5]:
            double.label(name)
        account = {
            "KILI_API_KEY": double.api_key,
            "KILI_API_ENDPOINT": double.url,
            "KILI_PROJECT_ID": double.project.project_id,
        }
        done = run_notebook(TUTORIALS / "04_kili.ipynb", tmp_path, environment(sample_data, tmp_path, **account))
        text = text_of(done)
        assert "60 assets: {'unlabeled': 55, 'labeled': 5" in text
        (again,) = re.findall(r"^(\d+) photos were picked again$", text, re.MULTILINE)
        assert pushes(text)[0] == {"updated": 10}
        assert pushes(text)[1]["taken_back"] == 10 - int(again)
        assert "10 unchanged" in text
        assert "check KILI_API_KEY" in text
        assert double.api_key not in text
        first, *_ = double.queue()
        assert double.priority(first) == 1_000_000
        assert sum(double.priority(name) > 0 for name in names) == 10
        (model, response), *_ = [guess for name in names for guess in double.predictions(name)]
        assert model == "al-agent"
        assert {part["categories"][0]["name"] for part in response["CELLS"]["annotations"]} <= {"WBC", "PLATELETS"}
    assert pictures_of(done) == 1
    assert (tmp_path / "kili_round.html").stat().st_size > 1_000_000


def test_05_superannotate_gets_whole_scores_and_the_next_round_takes_its_turn(sample_data: Path, tmp_path: Path) -> None:
    with SuperAnnotateDouble() as double:
        names = some_photos(sample_data)
        double.add_items("root", names)
        double.set_status("root", names[:5], "Completed")
        account = {"SA_TOKEN": double.token, "SA_URL": double.origin, "SA_PROJECT_NAME": double.project.name}
        done = run_notebook(TUTORIALS / "05_superannotate.ipynb", tmp_path, environment(sample_data, tmp_path, **account))
        text = text_of(done)
        assert "Priority scores task assignment on" in text
        assert "60 items: {'unlabeled': 55, 'labeled': 5" in text
        (again,) = re.findall(r"^(\d+) photos were picked again$", text, re.MULTILINE)
        assert pushes(text)[0] == {"updated": 10}
        assert pushes(text)[1]["taken_back"] == 10 - int(again)
        assert "10 unchanged" in text
        assert "name,entropy_value" in text
        assert double.token not in text
        scores = [double.item("root", name).entropy_value or 0 for name in double.queue()]
        assert scores[:11] == [*(1_000_000 - rank for rank in range(10)), 0]
    assert pictures_of(done) == 1
    assert (tmp_path / "superannotate_round.html").stat().st_size > 1_000_000


def test_08_a_thousand_of_many_images_on_disk(tmp_path: Path) -> None:
    path = TUTORIALS / "08_a_million_images.ipynb"
    done = run_notebook(path, tmp_path, {"AL_AGENT_HOME": str(tmp_path / "home"), "AL_AGENT_N_IMAGES": "60000"})
    text = text_of(done)
    assert "60,000 images" in text
    assert "Selection(1,000 items by CORESET, best first" in text
    assert re.search(r"^covering radius .* better$", text, re.MULTILINE)
    assert pictures_of(done) == 2
