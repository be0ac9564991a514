"""Objects of frameworks are read by the fields that they carry, and what is wrong with them is said by name."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scorers import DetectionPredictions, KeypointPredictions, ScorerObjectDetection, formats

BOX, SCORE, LABEL = [64.0, 48.0, 320.0, 240.0], 0.75, 1  # of an image of 640 x 480
IDS = ["day/a.jpg", "b.jpg"]
SIZES = [(640, 480), (640, 480)]


def torchvision(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    outputs = [{"boxes": boxes, "scores": scores, "labels": labels}, {"boxes": [], "scores": [], "labels": []}]
    return formats.torchvision.detections(IDS, outputs, image_sizes=SIZES)


def detectron2(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    def instances(boxes: list[Any], scores: list[Any], labels: list[Any]) -> Any:
        tensor = SimpleNamespace(tensor=boxes)
        return SimpleNamespace(image_size=(480, 640), pred_boxes=tensor, scores=scores, pred_classes=labels)

    outputs = [{"instances": instances(boxes, scores, labels)}, instances([], [], [])]
    return formats.detectron2.detections(IDS, outputs)


def ultralytics(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    def result(name: str, boxes: list[Any], scores: list[Any], labels: list[Any]) -> Any:
        found = SimpleNamespace(xyxy=boxes, conf=scores, cls=[float(label) for label in labels])
        names = {0: "cat", 1: "dog", 2: "cow"}
        return SimpleNamespace(path=f"/home/me/{name}", orig_shape=(480, 640), names=names, boxes=found)

    results = [result("b.jpg", [], [], []), result("day/a.jpg", boxes, scores, labels)]  # in any order
    return formats.ultralytics.detections(results, item_ids=IDS)


def mmdetection(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    def sample(name: str, boxes: list[Any], scores: list[Any], labels: list[Any]) -> Any:
        found = SimpleNamespace(bboxes=boxes, scores=scores, labels=labels)
        return SimpleNamespace(img_path=f"C:\\photos\\{name}", ori_shape=(480, 640), pred_instances=found)

    return formats.mmdetection.detections(
        [sample("b.jpg", [], [], []), sample("day\\a.jpg", boxes, scores, labels)], item_ids=IDS
    )


def supervision(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    outputs = [
        SimpleNamespace(xyxy=np.reshape(np.array(boxes), (-1, 4)), confidence=scores, class_id=labels),
        SimpleNamespace(xyxy=np.empty((0, 4)), confidence=None, class_id=None),
    ]
    return formats.supervision.detections(IDS, outputs, image_sizes=dict(zip(IDS, SIZES)))


def huggingface(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    sides = ("xmin", "ymin", "xmax", "ymax")
    output = [
        {"box": dict(zip(sides, box)), "score": score, "label": f"class {label}"}
        for box, score, label in zip(boxes, scores, labels)
    ]
    names = ["class 0", "class 1", "class 2"]
    return formats.huggingface.detections(IDS, [output, []], image_sizes=SIZES, class_names=names)


def label_studio(boxes: list[Any], scores: list[Any], labels: list[Any]) -> DetectionPredictions:
    regions = []
    for (x0, y0, x1, y1), score, label in zip(boxes, scores, labels):
        place = {"x": x0 / 6.4, "y": y0 / 4.8, "width": (x1 - x0) / 6.4, "height": (y1 - y0) / 4.8}
        value = {**place, "rectanglelabels": [f"class {label}"]}
        regions.append({"type": "rectanglelabels", "score": score, "value": value})
    tasks: list[dict[str, Any]] = [
        {"data": {"image": "s3://bucket/b.jpg"}, "predictions": []},
        {"data": {"image": "http://host/day/a.jpg"}, "predictions": [{"result": regions, "model_version": "v1"}]},
    ]
    return formats.label_studio.detections(tasks, item_ids=IDS, class_names=["class 0", "class 1", "class 2"])


Reader = Callable[[list[Any], list[Any], list[Any]], DetectionPredictions]
READERS: list[Reader] = [torchvision, detectron2, ultralytics, mmdetection, supervision, huggingface, label_studio]
every_reader = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


@every_reader
def test_a_box_in_pixels_becomes_fractions_of_its_image(read: Reader) -> None:
    predictions = read([BOX, [0.0, 0.0, 640.0, 480.0]], [SCORE, 0.5], [LABEL, 2])
    assert predictions.item_ids == ("day/a.jpg", "b.jpg")
    expected = np.array([[0.1, 0.1, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(predictions.boxes, expected, rtol=1e-12)
    assert predictions.scores.tolist() == [0.75, 0.5]
    assert predictions.labels.tolist() == [1, 2]
    assert predictions.offsets.tolist() == [0, 2, 2]


@every_reader
def test_nothing_found_anywhere_is_no_boxes(read: Reader) -> None:
    predictions = read([], [], [])
    assert (len(predictions), predictions.n_boxes) == (2, 0)


@every_reader
def test_a_box_that_leaves_its_image_a_little_is_clipped(read: Reader) -> None:
    assert read([[-3.0, -2.0, 650.0, 100.0]], [SCORE], [LABEL]).boxes[0, [0, 1, 2]].tolist() == [0, 0, 1]


@every_reader
@pytest.mark.parametrize(
    ("box", "score", "label", "message"),
    [
        ([np.nan, 0.0, 1.0, 1.0], SCORE, LABEL, "day/a.jpg"),
        ([320.0, 240.0, 64.0, 48.0], SCORE, LABEL, "negative size"),
        ([700.0, 10.0, 800.0, 20.0], SCORE, LABEL, "touches the image"),
        (BOX, np.nan, LABEL, "the score of box 1 of 'day/a.jpg'"),
        (BOX, 1.5, LABEL, "the score of box 1 of 'day/a.jpg'"),
        (BOX, SCORE, -1, "the label of box 1 of 'day/a.jpg'"),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_name(read: Reader, box: Any, score: float, label: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read([BOX, box], [SCORE, score], [LABEL, label])
    assert message in str(caught.value)


@pytest.mark.parametrize("convention", ["xywh", "cxcywh"])
@pytest.mark.parametrize("read", [torchvision, detectron2, ultralytics, mmdetection, supervision, huggingface])
def test_boxes_of_another_convention_are_refused_with_the_convention_that_fits(read: Reader, convention: str) -> None:
    rng = np.random.default_rng(0)
    size = rng.uniform(5, 200, (20, 2))
    low = rng.uniform(0, 1, (20, 2)) * (np.array([640, 480]) - size)
    boxes = np.concatenate([low if convention == "xywh" else low + size / 2, size], axis=1).tolist()
    with pytest.raises(ValueError, match=convention):
        read(boxes, [SCORE] * 20, [LABEL] * 20)


@pytest.mark.parametrize("read", [torchvision, detectron2, ultralytics, mmdetection, supervision])
def test_counts_that_differ_are_told(read: Reader) -> None:
    with pytest.raises(ValueError, match=r"'day/a.jpg' has 2 boxes and 1 scores"):
        read([BOX, BOX], [SCORE], [LABEL, LABEL])


def test_fractions_are_refused_where_the_size_says_pixels() -> None:
    with pytest.raises(ValueError, match="all boxes lie within one pixel"):
        torchvision([[0.1, 0.1, 0.5, 0.5]], [SCORE], [LABEL])


@pytest.mark.parametrize("n", [1, 3])
def test_every_item_needs_its_own_output(n: int) -> None:
    outputs: Iterator[Any] = ({"boxes": [], "scores": [], "labels": []} for _ in range(n))
    with pytest.raises(ValueError, match=r"'b.jpg' has none|more outputs than the 2 item ids"):
        formats.torchvision.detections(IDS, outputs, image_sizes=SIZES)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([(640, 480)], "'b.jpg' has none"),
        ({"b.jpg": (640, 480)}, "1 items have no image size, the first is 'day/a.jpg'"),
        ([(640, 480), (640,)], "the image size of 'b.jpg'"),
        ([(640, 480), ("w", 1)], "the image size of 'b.jpg'"),
        ([(0, 480), (640, 480)], "0 x 480 pixels"),
    ],
)
def test_sizes_that_are_no_sizes_are_refused_by_name(sizes: Any, message: str) -> None:
    outputs = [{"boxes": [BOX], "scores": [SCORE], "labels": [LABEL]}] * 2
    with pytest.raises(ValueError) as caught:
        formats.torchvision.detections(IDS, outputs, image_sizes=sizes)
    assert message in str(caught.value)


def test_a_missing_field_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"the output of 'day/a.jpg' is dict without 'scores'; it has boxes, labels"):
        formats.torchvision.detections(IDS, [{"boxes": [], "labels": []}] * 2, image_sizes=SIZES)


def test_results_are_told_apart_by_path_and_not_by_order() -> None:
    results = [
        SimpleNamespace(path=name, names={0: "cat", 1: "dog"}, probs=SimpleNamespace(data=[p, 1 - p]))
        for name, p in (("b.jpg", 0.25), ("day/a.jpg", 1.0))
    ]
    predictions = formats.ultralytics.classifications(iter(results), item_ids=IDS)
    assert predictions.probabilities.tolist() == [[1.0, 0.0], [0.25, 0.75]]
    assert predictions.class_names == ("cat", "dog")
    with pytest.raises(ValueError, match=r"result 1 is a second one of 'b.jpg'"):
        formats.ultralytics.classifications([results[0], results[0]], item_ids=IDS)
    with pytest.raises(ValueError, match=r"nothing of 1 items, the first is 'day/a.jpg'"):
        formats.ultralytics.classifications(results[:1], item_ids=IDS)
    with pytest.raises(ValueError, match="are these predictions of other images"):
        formats.ultralytics.classifications(results, item_ids=["c.jpg"])


def test_oriented_boxes_are_read_by_the_upright_box_around_them() -> None:
    obb = SimpleNamespace(xyxy=[BOX], conf=[SCORE], cls=[0.0])
    result = SimpleNamespace(path="a.jpg", orig_shape=(480, 640), names={0: "ship"}, boxes=None, obb=obb)
    assert formats.ultralytics.detections([result], item_ids=["a.jpg"]).n_boxes == 1
    result.obb = None
    with pytest.raises(ValueError, match=r"'a.jpg' has no boxes; is this a detection model's"):
        formats.ultralytics.detections([result], item_ids=["a.jpg"])


POSES = [[[64.0, 48.0], [320.0, 240.0]]]


def poses(framework: str, places: Any, sure: Any) -> KeypointPredictions:
    if framework == "torchvision":
        outputs = [{"keypoints": places, "keypoints_scores": sure, "scores": [0.9] * len(sure)}]
        return formats.torchvision.keypoints(["a.jpg"], outputs, image_sizes=[(640, 480)], activation="none")
    if framework == "detectron2":
        triples = np.concatenate([np.array(places), np.array(sure)[..., None]], axis=2) if len(sure) else np.empty((0, 2, 3))
        output = SimpleNamespace(image_size=(480, 640), scores=[0.9] * len(sure), pred_keypoints=triples)
        return formats.detectron2.keypoints(["a.jpg"], [{"instances": output}])
    if framework == "ultralytics":
        found = SimpleNamespace(xy=places, conf=sure)
        result = SimpleNamespace(path="a.jpg", orig_shape=(480, 640), keypoints=found, boxes=None)
        return formats.ultralytics.keypoints([result], item_ids=["a.jpg"])
    found = SimpleNamespace(keypoints=places, keypoint_scores=sure)
    sample = SimpleNamespace(img_path="a.jpg", ori_shape=(480, 640), pred_instances=found)
    return formats.mmpose.keypoints([sample], item_ids=["a.jpg"])


every_pose_reader = pytest.mark.parametrize("framework", ["torchvision", "detectron2", "ultralytics", "mmpose"])


@every_pose_reader
def test_keypoints_in_pixels_become_fractions_of_their_image(framework: str) -> None:
    predictions = poses(framework, POSES, [[0.75, 0.5]])
    assert predictions.keypoints is not None
    np.testing.assert_allclose(predictions.keypoints, [[[0.1, 0.1], [0.5, 0.5]]])
    assert predictions.confidences.tolist() == [[0.75, 0.5]]
    assert len(poses(framework, np.empty((0, 2, 2)), np.empty((0, 2)))) == 1


@every_pose_reader
def test_confidences_that_are_none_are_refused_by_name(framework: str) -> None:
    with pytest.raises(ValueError, match=r"confidences of .*'a.jpg'.*nan"):
        poses(framework, POSES, [[np.nan, 0.5]])
    if framework == "detectron2":  # its scores of sharp peaks exceed 1
        assert poses(framework, POSES, [[3.5, 0.5]]).confidences.tolist() == [[1.0, 0.5]]
        return
    message = "instance 0 of 'a.jpg' is .3.5.; expected" if framework == "ultralytics" else "'a.jpg' reach from 0.5 to 3.5"
    with pytest.raises(ValueError, match=message):
        poses(framework, POSES, [[3.5, 0.5]])


@every_pose_reader
def test_an_image_without_instances_keeps_its_row(framework: str) -> None:
    nothings: list[Any] = [np.empty((0, 2, 2)), np.empty((0, 0, 2)), []]
    for empty in nothings:
        assert poses(framework, empty, np.empty((0, 2))).offsets.tolist() == [0, 0]
    if framework != "detectron2":  # which has both in one array
        with pytest.raises(ValueError, match=r"'a.jpg' have shape \(1, 2, 2\), confidences \(0, 2\)"):
            poses(framework, POSES, np.empty((0, 2)))


def test_keypoint_scores_of_torchvision_go_through_the_logistic_function() -> None:
    outputs = [{"keypoints": POSES, "keypoints_scores": [[0.0, np.log(3.0)]], "scores": [0.9]}]
    predictions = formats.torchvision.keypoints(["a.jpg"], outputs, image_sizes=[(640, 480)])
    np.testing.assert_allclose(predictions.confidences, [[0.5, 0.75]])


def test_instances_of_other_numbers_of_keypoints_are_refused() -> None:
    outputs = [
        {"keypoints": POSES, "keypoints_scores": [[0.5, 0.5]], "scores": [0.9]},
        {"keypoints": [[[1.0, 2.0]]], "keypoints_scores": [[0.5]], "scores": [0.9]},
    ]
    with pytest.raises(ValueError, match=r"'b.jpg' has instances of 1 keypoints, an earlier item of 2"):
        formats.torchvision.keypoints(IDS, outputs, image_sizes=SIZES)


def test_chunks_of_a_loader_score_like_the_whole() -> None:
    rng = np.random.default_rng(0)
    ids = [f"{row}.jpg" for row in range(20)]
    outputs = []
    for row in range(20):
        low = rng.uniform(0, 200, (row % 4, 2))
        outputs.append(
            {
                "boxes": np.concatenate([low, low + rng.uniform(5, 200, low.shape)], axis=1),
                "scores": rng.uniform(size=row % 4),
                "labels": rng.integers(0, 3, row % 4),
            }
        )
    sizes = [(640, 480)] * 20
    whole = ScorerObjectDetection(
        formats.torchvision.detections(ids, outputs, image_sizes=sizes), without_boxes=0.0
    ).scores()
    chunks = (
        formats.torchvision.detections(ids[i : i + 5], outputs[i : i + 5], image_sizes=sizes[i : i + 5])
        for i in range(0, 20, 5)
    )
    parts = ScorerObjectDetection(chunks, without_boxes=0.0).scores()
    assert parts.item_ids == whole.item_ids
    for name in whole.names:
        assert parts.column(name).tolist() == whole.column(name).tolist()


# --- what people get wrong -------------------------------------------------------------------------------------------

OUTPUT = {"boxes": [BOX], "scores": [SCORE], "labels": [LABEL]}


@pytest.mark.parametrize(
    ("ids", "outputs", "message"),
    [
        ("ab", [OUTPUT] * 2, "item_ids is the single string 'ab'"),
        ({"a", "b"}, [OUTPUT] * 2, "item_ids is a set"),
        (["a", 1], [OUTPUT] * 2, "item_ids[1] is 1 of type int"),
        (["a", "a"], [OUTPUT] * 2, "stand more than once, the first is 'a'"),
        ([], [], "item_ids is empty"),
        (["a", "b"], OUTPUT, "outputs is one dict; expected a list, one for each item"),
        (["a", "b"], None, "outputs is one NoneType; expected a list, one for each item"),
        (["a", "b"], [OUTPUT, None], "the output of 'b' is NoneType without 'boxes'"),
        (["a"], [np.zeros(3)], "the output of 'a' is ndarray; expected a dictionary or an object with 'boxes'"),
        (["a"], [{**OUTPUT, "labels": [1.5]}], "labels of 'a' are [1.5]; expected whole numbers, or names"),
        (["a"], [{**OUTPUT, "labels": [True]}], "labels of 'a' are [True]; expected whole numbers, or names"),
        (["a"], [{**OUTPUT, "boxes": BOX}], "boxes of 'a' have shape (4,); expected (m, 4)"),
        (["a"], [{**OUTPUT, "boxes": [[1, 2], [3]]}], "boxes of 'a' cannot be read as numbers"),
        (["a"], [{**OUTPUT, "scores": None}], "scores of 'a' holds values of type object"),
        (["a", "b"], [OUTPUT, {**OUTPUT, "labels": ["dog"]}], "some labels are names and others are numbers"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_way_out(ids: Any, outputs: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        formats.torchvision.detections(ids, outputs, image_sizes=[(640, 480)] * len(ids))
    assert message in str(caught.value)


def test_a_tensor_in_place_of_a_dictionary_is_said_to_be_one() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"the output of 'a' is Tensor; expected a dictionary or an object with 'boxes'"):
        formats.torchvision.detections(["a", "b"], [torch.zeros(3)] * 2, image_sizes=[(640, 480)] * 2)


@pytest.mark.parametrize("labels", [np.array([1.0]), np.array([1], dtype=np.uint8), ["dög"], np.array(["dög"])])
def test_labels_are_numbers_or_names_of_any_kind(labels: Any) -> None:
    output = {**OUTPUT, "scores": [[SCORE]], "labels": labels}  # (m, 1) scores too
    read = formats.torchvision.detections(["a"], [output], image_sizes=[(640, 480)], class_names={1: "dög", 0: "cat"})
    assert (read.labels.tolist(), read.scores.tolist(), read.class_names) == ([1], [0.75], ("cat", "dög"))


def test_a_single_object_is_no_list_of_them() -> None:
    boxes = SimpleNamespace(xyxy=[BOX], conf=[SCORE], cls=[0.0])
    result = SimpleNamespace(path="a.jpg", orig_shape=(480, 640), names={0: "cat"}, boxes=boxes)
    with pytest.raises(ValueError, match="results is one SimpleNamespace; expected a list, one for each item"):
        formats.ultralytics.detections(result, item_ids=["a.jpg"])
    with pytest.raises(ValueError, match="the output of 'a' is dict; expected a list: call the pipeline with a list"):
        one = {"score": SCORE, "label": "cat", "box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}}
        formats.huggingface.detections(["a"], [one], image_sizes=[(9, 9)])  # type: ignore[list-item]


def test_a_result_without_a_path_and_probabilities_of_other_classes_are_named() -> None:
    def result(path: str | None, *p: float) -> Any:
        return SimpleNamespace(path=path, names=None, probs=SimpleNamespace(data=p))

    with pytest.raises(ValueError, match="result 0 has no path, as of an image in memory; set its path"):
        formats.ultralytics.classifications([result(None, 0.5, 0.5)], item_ids=["a.jpg"])
    with pytest.raises(ValueError, match=r"probs of 'b.jpg' have shape \(3,\); expected \(c,\), the same for all"):
        formats.ultralytics.classifications(
            [result("a.jpg", 0.5, 0.5), result("b.jpg", 1, 0, 0)], item_ids=["a.jpg", "b.jpg"]
        )


def test_masks_of_any_size_are_fractions_of_their_own() -> None:
    left = [np.repeat([[1, 0]], height, axis=0).repeat(height, axis=1) for height in (3, 6)]
    entries = [{"score": SCORE, "label": "cat", "mask": mask} for mask in [*left, np.zeros((2, 2))]]
    assert formats.huggingface.instances(["a"], [entries]).boxes.tolist() == [[0, 0, 0.5, 1]] * 2
    with pytest.raises(ValueError, match=r"a mask of 'a' has shape \(3, 4, 3\); expected \(h, w\)"):
        formats.huggingface.instances(["a"], [[{"score": SCORE, "label": "cat", "mask": np.zeros((3, 4, 3))}]])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "has the labels  for the classes ; call the pipeline with top_k"),
        ({"cat": 1.0}, "top_k=pipe.model.config.num_labels"),
        ({"cat": None, "dog": 0.5}, "scores of 'a' holds values of type object"),
        ({"cat": 0.9, "dog": 0.9}, "the scores of 'a' sum to 1.8"),
    ],
)
def test_classes_that_are_left_out_are_asked_for(scores: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        formats.huggingface.classifications(["a"], [[{"label": name, "score": score} for name, score in scores.items()]])
    assert message in str(caught.value)


def test_a_model_may_write_its_next_output_over_the_last() -> None:
    places, sure, scores = np.full((1, 2, 2), 64.0), np.full((1, 2), 0.5), np.full(1, 0.5)

    def outputs() -> Iterator[Any]:
        for value in (0.25, 0.75):
            places[:], sure[:], scores[:] = value * 100, value, value
            yield {"keypoints": places, "keypoints_scores": sure, "scores": scores}

    read = formats.torchvision.keypoints(IDS, outputs(), image_sizes=[(100, 100)] * 2, activation="none")
    assert read.keypoints is not None
    assert read.keypoints[:, 0, 0].tolist() == read.confidences[:, 0].tolist() == [0.25, 0.75]
    assert read.instance_scores is not None
    assert read.instance_scores.tolist() == [0.25, 0.75]


class Holder(SimpleNamespace):
    """Can be weakly referred to."""


def test_results_of_a_stream_are_let_go_one_by_one() -> None:
    held: list[weakref.ref[Any]] = []
    arrays = {"xyxy": np.array([BOX]), "conf": np.array([SCORE]), "cls": np.array([0.0]), "data": np.array([0.5, 0.5])}
    parts = {"boxes": SimpleNamespace(**arrays), "probs": SimpleNamespace(**arrays)}

    def stream() -> Iterator[Any]:
        held.clear()
        for number in range(5):
            assert [one() for one in held[:-1]] == [None] * max(0, number - 1)
            result = Holder(path=f"{number}.jpg", orig_shape=(480, 640), names=None, **parts)
            held.append(weakref.ref(result))
            yield result
            del result

    ids = [f"{number}.jpg" for number in range(5)]
    assert formats.ultralytics.detections(stream(), item_ids=ids).n_boxes == 5
    assert len(formats.ultralytics.classifications(stream(), item_ids=ids)) == 5


def region(**value: Any) -> dict[str, Any]:
    return {"type": "rectanglelabels", "score": SCORE, "value": {"x": 50, "y": 50, "width": 25, "height": 10, **value}}


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([17], "a prediction of tasks, task 0 is 17; expected an object. A JSON export has only ids of predictions"),
        ([{"result": [region(rectanglelabels=["a", "b"])]}], "has the labels ['a', 'b']; expected one label"),
        ([{"result": [region(rectanglelabels=["a"], rotation=30)]}], "its region has no original_width"),
        ([{"result": [region(rectanglelabels=["a"], width=-1)]}], "no shape in percent of the image: a negative size"),
        ([{"result": [region(rectanglelabels=["a"], x="left")]}], "no shape in percent of the image"),
        ([{"result": [{**region(rectanglelabels=["a"]), "score": None}]}], "has no score; without it nothing can be"),
        ([{"result": [{**region(), "type": "brushlabels"}]}], "is of type 'brushlabels'; expected rectanglelabels or"),
        ([{"model_version": "v1"}] * 2, "several predictions of one version; delete all but the last"),
        ([{"model_version": version} for version in ("v1", "v2")], "of the versions v1, v2; name one: model_version="),
    ],
)
def test_tasks_that_cannot_be_read_say_which_region_and_why(predictions: list[Any], message: str) -> None:
    task = {"data": {"image": "a.jpg"}, "predictions": predictions}
    with pytest.raises(ValueError) as caught:
        formats.label_studio.detections({"tasks": [task], "total": 1}, item_ids=["a.jpg"])
    assert message in str(caught.value)
