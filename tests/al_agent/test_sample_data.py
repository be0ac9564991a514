"""Sample data are fetched once, checked, and laid out; a download that broke goes on."""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from notebooks import lay_out_sample_data
from PIL import Image

from al_agent import AgentError
from al_agent.sample_data import fetch_blood_cells, fetch_indoor_photos
from al_agent.sample_data.catalogue import BLOOD_CELLS, INDOOR_PHOTOS, Source, fetch_to, registry_of
from al_agent.sample_data.download import addresses_of, download
from al_agent.sample_data.layout import blood_cells, indoor_photos

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # see the fixture of the server

FILES = {"a.txt": b"a" * 100, "deep/b.txt": b"b" * 100_000}
REGISTRY = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}


class FileServer(ThreadingHTTPServer):
    """Serves a folder on loopback, keeps the paths that were asked for, and breaks off those that it is told to."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.broken: set[str] = set()
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(SimpleHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path not in self.server.broken:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"b" * 500)  # and then the connection is closed

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    for path, content in FILES.items():
        (tmp_path / "served" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "served" / path).write_bytes(content)
    with FileServer(tmp_path / "served") as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()
    gc.collect()  # pooch leaves the connection of a file that it was refused to the garbage collector


def fetch(folder: Path, *addresses: str, registry: dict[str, str] = REGISTRY) -> None:
    download(folder, registry, addresses, title="letters", way_out="bring it yourself")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_fetched_into_their_folders(server: FileServer, tmp_path: Path) -> None:
    fetch(tmp_path / "here", server.address)
    assert contents(tmp_path / "here") == FILES
    assert sorted(server.asked) == ["/a.txt", "/deep/b.txt"]


def test_a_file_that_is_not_the_expected_one_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"/a\.txt' cannot be fetched: SHA256 hash .* does not match .*; bring it yourself"):
        fetch(tmp_path / "here", server.address, registry={**REGISTRY, "a.txt": "0" * 64})
    assert "a.txt" not in contents(tmp_path / "here")


def test_a_download_that_broke_goes_on_with_what_is_missing(server: FileServer, tmp_path: Path) -> None:
    server.broken.add("/deep/b.txt")
    with pytest.raises(AgentError, match=r"/deep/b\.txt' cannot be fetched"):
        fetch(tmp_path / "here", server.address)
    assert contents(tmp_path / "here") == {"a.txt": FILES["a.txt"]}
    server.broken.clear()
    server.asked.clear()
    fetch(tmp_path / "here", server.address)
    assert (contents(tmp_path / "here"), server.asked) == (FILES, ["/deep/b.txt"])


def test_a_file_that_was_damaged_on_disk_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    fetch(tmp_path / "here", server.address)
    (tmp_path / "here" / "a.txt").write_bytes(b"damaged")
    fetch(tmp_path / "here", server.address)
    assert contents(tmp_path / "here") == FILES


def test_what_the_first_address_does_not_have_comes_from_the_next(server: FileServer, tmp_path: Path) -> None:
    fetch(tmp_path / "here", f"{server.address}elsewhere/", server.address)
    assert contents(tmp_path / "here") == FILES


def test_without_a_network_the_error_names_the_address_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AL_AGENT_DATA", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(AgentError) as caught:
        fetch_indoor_photos()
    assert f"'{addresses_of('Cartucho/mAP', INDOOR_PHOTOS.commit)[0]}" in str(caught.value)
    assert "AL_AGENT_DATA name the folder that holds 'indoor_photos'" in str(caught.value)
    assert not (tmp_path / "indoor_photos").exists()


def test_a_folder_that_is_not_whole_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AL_AGENT_DATA", str(tmp_path))
    (tmp_path / "blood_cells" / "images").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"blood_cells' has no 'annotations.json' or no folder 'images'; remove it"):
        fetch_blood_cells()


@pytest.mark.parametrize("source", [INDOOR_PHOTOS, BLOOD_CELLS], ids=lambda source: source.name)
def test_a_registry_lists_the_licence_and_stays_inside_its_folder(source: Source) -> None:
    registry = registry_of(source)
    assert "LICENSE" in registry
    assert sum(path.startswith(f"{source.images}/") for path in registry) == {"BCCD/JPEGImages": 364}.get(source.images, 85)
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in registry.values())
    assert not any(path.startswith("/") or ".." in path or "\\" in path for path in registry)


def write_flat(folder: Path) -> None:
    """Two photos as the source of the indoor photos has them."""
    texts = {
        "ground-truth": "cup 10 20 30 60\nbook 0 0 5 5\n",
        "detection-results": "sofa 0.5 1 2 3 4\ncup 0.25 10 20 30 60\n",
    }
    for part in ("images-optional", *texts):
        (folder / "input" / part).mkdir(parents=True)
    (folder / "LICENSE").write_text("do as you like")
    for name in ("b", "a"):
        Image.new("RGB", (64, 80)).save(folder / f"input/images-optional/{name}.jpg")
        for part, text in texts.items():
            (folder / "input" / part / f"{name}.txt").write_text(text if name == "a" else "")


def test_text_files_of_photos_become_coco_files(tmp_path: Path) -> None:
    write_flat(tmp_path)
    files = indoor_photos(tmp_path)
    truth, found = files["annotations.json"], files["detections.json"]
    assert [(image["id"], image["file_name"], image["width"], image["height"]) for image in truth["images"]] == [
        (1, "a.jpg", 64, 80),
        (2, "b.jpg", 64, 80),
    ]
    assert truth["categories"] == [{"id": 1, "name": "cup"}, {"id": 2, "name": "book"}, {"id": 3, "name": "sofa"}]
    assert [(box["image_id"], box["category_id"], box["bbox"], box["area"]) for box in truth["annotations"]] == [
        (1, 1, [10, 20, 20, 40], 800),
        (1, 2, [0, 0, 5, 5], 25),
    ]
    assert found == [
        {"image_id": 1, "category_id": 3, "bbox": [1, 2, 2, 2], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 40], "score": 0.25},
    ]


def test_what_was_fetched_lies_as_one_folder_and_nothing_beside_it(server: FileServer, tmp_path: Path) -> None:
    write_flat(tmp_path / "served")
    registry = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in contents(tmp_path / "served").items()
        if path not in FILES
    }
    fetch_to(tmp_path / "data" / "flat", INDOOR_PHOTOS, registry, [server.address])
    here = ["LICENSE", "annotations.json", "detections.json", "images/a.jpg", "images/b.jpg"]
    assert sorted(contents(tmp_path / "data" / "flat")) == here
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["flat"]


def test_a_broken_download_leaves_no_folder_of_its_name(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(
        AgentError, match=r"/c\.txt' cannot be fetched: 404 .*; what was fetched is kept in '.*flat\.download'"
    ):
        fetch_to(tmp_path / "flat", INDOOR_PHOTOS, {**REGISTRY, "c.txt": "0" * 64}, [server.address])
    assert not (tmp_path / "flat").exists()


def test_the_table_of_blood_cells_becomes_a_coco_file_without_boxes_of_no_extent(tmp_path: Path) -> None:
    (tmp_path / "BCCD/JPEGImages").mkdir(parents=True)
    (tmp_path / "BCCD/ImageSets/Main").mkdir(parents=True)
    for name, split in (("x", "test"), ("y", "train"), ("z", "val")):
        Image.new("RGB", (64, 80)).save(tmp_path / f"BCCD/JPEGImages/{name}.jpg")
        (tmp_path / f"BCCD/ImageSets/Main/{split}.txt").write_text(f"{name}\n")
    rows = ["filename,cell_type,xmin,xmax,ymin,ymax", "y.jpg,WBC,1,11,2,22", "x.jpg,RBC,5,5,1,9", "x.jpg,Platelets,0,4,1,9"]
    (tmp_path / "test.csv").write_text("\n".join(rows))
    truth = blood_cells(tmp_path)["annotations.json"]
    assert [image["split"] for image in truth["images"]] == ["test", "train", "val"]
    assert [(box["image_id"], box["category_id"], box["bbox"]) for box in truth["annotations"]] == [
        (2, 2, [1, 2, 10, 20]),
        (1, 3, [0, 1, 4, 8]),
    ]


def test_photos_that_are_there_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AL_AGENT_DATA", str(lay_out_sample_data(tmp_path)))
    flat, cells = fetch_indoor_photos(), fetch_blood_cells()
    assert (len(list(flat.images.iterdir())), len(list(cells.images.iterdir()))) == (85, 364)
    assert flat.detections is not None and len(json.loads(flat.detections.read_text())) == 494
    assert cells.detections is None
    splits = Counter(image["split"] for image in json.loads(cells.annotations.read_text())["images"])
    assert splits == {"train": 205, "val": 87, "test": 72}
    for photos, source in ((flat, INDOOR_PHOTOS), (cells, BLOOD_CELLS)):
        digests = {Path(path).name: digest for path, digest in registry_of(source).items()}
        files = [*photos.images.iterdir(), photos.folder / "LICENSE"]
        assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}.items() <= digests.items()


def test_without_pooch_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AL_AGENT_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'need pooch to be fetched: pip install "al-agent\[tutorials\]"'):
        fetch_indoor_photos()
