"""What `from al_agent import ...` promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import al_agent

RELIED_ON = {
    "ActiveLearningAgent",
    "SamplerConfig",
    "SamplingMethod",
    "Embeddings",
    "Selection",
    "Scores",
    "ClassificationPredictions",
    "DetectionPredictions",
    "SegmentationPredictions",
    "KeypointPredictions",
    "ScorerClassification",
    "ScorerObjectDetection",
    "ScorerSemanticSegmentation",
    "ScorerKeypointDetection",
    "PlatformLocal",
    "PlatformKili",
    "PlatformSuperAnnotate",
    "PlatformLabelStudio",
}
HEAVY = {
    *("torch", "sklearn", "scipy", "PIL", "matplotlib", "requests", "typer", "tqdm", "multiprocessing", "asyncio"),
    *("pyarrow", "transformers", "kornia", "onnxruntime", "pycocotools", "umap", "numba", "ray"),
}


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False)


def test_the_names_that_users_rely_on_are_there() -> None:
    assert set(al_agent.__all__) >= RELIED_ON
    assert all(hasattr(al_agent, name) for name in al_agent.__all__)
    assert al_agent.__all__ == sorted(al_agent.__all__)


def test_importing_loads_nothing_heavy_and_writes_nothing(tmp_path: Path) -> None:
    done = run(f"import sys, al_agent; print(sorted({HEAVY} & set(sys.modules)))", tmp_path)
    assert done.stdout == "[]\n", done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scorers", "samplers"])
def test_a_users_own_file_that_hides_a_package_is_named_and_not_run(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("print('run')\n", encoding="utf-8")
    done = run("import al_agent", tmp_path)
    assert done.returncode == 1
    assert f"ImportError: '{tmp_path / name}.py' hides the package '{name}' that al-agent needs" in done.stderr
    assert done.stdout == ""


def test_a_users_module_that_is_imported_already_is_named(tmp_path: Path) -> None:
    (tmp_path / "scorers.py").write_text("", encoding="utf-8")
    done = run("import scorers, al_agent", tmp_path)
    assert "scorers.py' hides the package 'scorers'" in done.stderr
