"""What frameworks really return is read: models with random weights run here, and real containers carry their output."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from scorers import formats

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

IDS = ["day/a.jpg", "b.jpg"]
SIZES = [(64, 48), (50, 80)]
TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
NAMES = {0: "cat", 1: "dog", 2: "cow"}


@pytest.fixture(scope="module")
def images() -> list[Any]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)) for width, height in SIZES]


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    """The library without its log, with the same random weights each time."""
    library = pytest.importorskip("transformers")
    before = library.logging.get_verbosity()
    library.logging.set_verbosity_error()
    torch.manual_seed(0)
    yield library
    library.logging.set_verbosity(before)


def processor(transformers: Any, name: str, side: int = 32, **options: Any) -> Any:
    return getattr(transformers, f"{name}ImageProcessorPil")(size={"height": side, "width": side}, **options)


def test_the_classification_pipeline_tells_all_classes_when_their_number_is_asked_for(
    transformers: Any, images: list[Any]
) -> None:
    config = transformers.ViTConfig(image_size=32, patch_size=16, id2label={i: f"class {i}" for i in range(7)}, **TINY)
    model = transformers.ViTForImageClassification(config).eval()
    size = processor(transformers, "ViT")
    pipe = transformers.pipeline("image-classification", model=model, image_processor=size)
    predictions = formats.huggingface.classifications(IDS, pipe(images, top_k=7), class_names=config.id2label)
    with torch.no_grad():
        logits = model(**size(images, return_tensors="pt")).logits
    np.testing.assert_allclose(predictions.probabilities, logits.softmax(1).numpy(), atol=1e-6)
    assert predictions.class_names == tuple(config.id2label.values())
    assert formats.huggingface.classifications(IDS, pipe(images, top_k=7)).class_names == predictions.class_names
    for too_few in (pipe(images), pipe(images, top_k=None)):
        with pytest.raises(ValueError, match=r"top_k=pipe.model.config.num_labels"):
            formats.huggingface.classifications(IDS, too_few)
    with pytest.raises(ValueError, match="function_to_apply='softmax'"):
        formats.huggingface.classifications(IDS, pipe(images, top_k=7, function_to_apply="sigmoid"))
    with pytest.raises(ValueError, match="call the pipeline with a list of images"):
        formats.huggingface.classifications(["a.jpg"], pipe(images[0], top_k=7)[:1])


def test_the_detection_pipeline_and_its_processor_say_the_same_boxes(transformers: Any, images: list[Any]) -> None:
    config = transformers.YolosConfig(
        image_size=[32, 32], patch_size=16, num_detection_tokens=10, id2label=NAMES, initializer_range=0.5, **TINY
    )
    model = transformers.YolosForObjectDetection(config).eval()
    size = processor(transformers, "Yolos")
    pipe = transformers.pipeline("object-detection", model=model, image_processor=size)
    whole = formats.huggingface.detections(IDS, pipe(images, threshold=0.0), image_sizes=SIZES, class_names=NAMES)
    with torch.no_grad():
        outputs = model(**size(images, return_tensors="pt"))
    shapes = [(height, width) for width, height in SIZES]
    found = size.post_process_object_detection(outputs, threshold=0.0, target_sizes=shapes)
    tensors = formats.torchvision.detections(IDS, found, image_sizes=SIZES, class_names=NAMES)
    assert whole.n_boxes == tensors.n_boxes == 20
    assert len(set(whole.labels.tolist())) > 1
    for start in (0, 10):  # the pipeline gives the best first, and whole pixels
        rows = start + np.argsort(-tensors.scores[start : start + 10], kind="stable")
        np.testing.assert_allclose(whole.scores[start : start + 10], tensors.scores[rows], atol=1e-6)
        assert whole.labels[start : start + 10].tolist() == tensors.labels[rows].tolist()
        np.testing.assert_allclose(whole.boxes[start : start + 10], tensors.boxes[rows], atol=1 / 48)
    nothing = formats.huggingface.detections(IDS, pipe(images, threshold=0.999), image_sizes=SIZES, class_names=NAMES)
    assert nothing.offsets.tolist() == [0, 0, 0]
    calm = transformers.YolosForObjectDetection(
        transformers.YolosConfig(image_size=[32, 32], patch_size=16, num_detection_tokens=10, **TINY)
    )
    relative = size.post_process_object_detection(calm(**size(images, return_tensors="pt")), threshold=0.0)
    with pytest.raises(ValueError, match="multiply fractions by the image's width and height"):
        formats.torchvision.detections(IDS, relative, image_sizes=SIZES)


def test_instances_of_the_segmentation_pipeline_are_read_by_the_box_around_each(
    transformers: Any, images: list[Any]
) -> None:
    backbone = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    decoder = transformers.DetrConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=5,
    )  # fmt: skip
    config = transformers.MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, id2label=NAMES
    )
    model = transformers.MaskFormerForInstanceSegmentation(config).eval()
    size = processor(transformers, "MaskFormer", 64, ignore_index=255)
    pipe = transformers.pipeline("image-segmentation", model=model, image_processor=size)
    outputs = pipe(images, subtask="instance", threshold=0.0)
    predictions = formats.huggingface.instances(IDS, outputs, class_names=NAMES)
    shown = [(entry, entry["mask"].getbbox()) for output in outputs for entry in output]
    filled = [(entry, box) for entry, box in shown if box is not None]
    assert 0 < predictions.n_boxes == len(filled)
    expected = [np.array(box) / np.tile(entry["mask"].size, 2) for entry, box in filled]
    np.testing.assert_allclose(predictions.boxes, expected)
    assert predictions.scores.tolist() == [entry["score"] for entry, _ in filled]
    with pytest.raises(ValueError, match=r"SegmentationPredictions.from_logits"):
        formats.huggingface.instances(IDS, pipe(images, subtask="semantic"))


def test_masks_of_a_semantic_model_send_to_its_logits(transformers: Any, images: list[Any]) -> None:
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 8], patch_sizes=[3, 3], strides=[2, 2],
        num_attention_heads=[1, 1], mlp_ratios=[1, 1], decoder_hidden_size=8, id2label=NAMES,
    )  # fmt: skip
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    size = processor(transformers, "Segformer")
    pipe = transformers.pipeline("image-segmentation", model=model, image_processor=size)
    with pytest.raises(ValueError, match=r"'day/a.jpg' has masks without scores.*SegmentationPredictions.from_logits"):
        formats.huggingface.instances(IDS, pipe(images))


BOXES = [[64.0, 48.0, 320.0, 240.0], [0.0, 0.0, 640.0, 480.0]]  # of an image of 640 x 480
EXPECTED = np.array([[0.1, 0.1, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])


def test_detections_of_supervision_are_read_also_where_there_are_none() -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        supervision = pytest.importorskip("supervision")
    full = supervision.Detections(
        xyxy=np.array(BOXES),
        confidence=np.array([0.75, 0.5]),
        class_id=np.array([1, 0]),
        mask=np.ones((2, 480, 640), dtype=bool),
        data={"class_name": np.array(["dog", "cat"])},
    )
    sizes = [(640, 480)] * 2
    predictions = formats.supervision.detections(
        IDS, [supervision.Detections.empty(), full], image_sizes=sizes, class_names=NAMES
    )
    np.testing.assert_allclose(predictions.boxes, EXPECTED)
    assert (predictions.labels.tolist(), predictions.scores.tolist()) == ([1, 0], [0.75, 0.5])
    assert predictions.offsets.tolist() == [0, 0, 2]
    results = {
        name: torch.tensor(values) for name, values in {"boxes": BOXES, "scores": [0.75, 0.5], "labels": [1, 0]}.items()
    }
    again = supervision.Detections.from_transformers(results)
    assert formats.supervision.detections(["b.jpg"], [again], image_sizes=sizes[:1]).labels.tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"'b.jpg' have no confidence; without it nothing can be scored"):
        truth = supervision.Detections(xyxy=np.array(BOXES), class_id=np.array([1, 0]))
        formats.supervision.detections(["b.jpg"], [truth], image_sizes=sizes[:1])
    with pytest.raises(ValueError, match="outputs is one Detections; expected a list"):
        formats.supervision.detections(IDS, full, image_sizes=sizes)


def test_data_elements_of_openmmlab_are_read_with_tensors_and_with_arrays() -> None:
    structures = pytest.importorskip("mmengine.structures")

    def sample(path: str | None, **fields: Any) -> Any:
        meta = {"img_path": path, "ori_shape": (480, 640), "img_shape": (800, 1067), "img_id": 3}
        element = structures.BaseDataElement(metainfo=meta)
        element.pred_instances = structures.InstanceData(**fields)
        return element

    found = sample(
        "data/day/a.jpg", bboxes=torch.tensor(BOXES), scores=torch.tensor([0.75, 0.5]), labels=torch.tensor([1, 0])
    )
    nothing = sample("data/b.jpg", bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.int64))
    for samples in ([nothing, found], [nothing.numpy(), found.numpy()]):
        predictions = formats.mmdetection.detections(samples, item_ids=IDS, class_names=tuple(NAMES.values()))
        np.testing.assert_allclose(predictions.boxes, EXPECTED)
        assert predictions.labels.tolist() == [1, 0]
        assert predictions.offsets.tolist() == [0, 2, 2]
    with pytest.raises(ValueError, match="sample 0 has no path, as of an image in memory; set its img_path"):
        formats.mmdetection.detections([sample(None)], item_ids=IDS)
    with pytest.raises(ValueError, match="samples is one BaseDataElement; expected a list"):
        formats.mmdetection.detections(found, item_ids=IDS)

    people = [
        sample("day/a.jpg", keypoints=np.full((1, 17, 2), 160.0, np.float32), keypoint_scores=np.full((1, 17), height))
        for height in (0.5, 1.0625)
    ]
    with pytest.raises(ValueError, match=r"sample 1 is a second one of 'day/a.jpg'"):
        formats.mmpose.keypoints(people, item_ids=IDS)
    merged = people[0].clone()
    merged.pred_instances = structures.InstanceData.cat([person.pred_instances for person in people])
    with pytest.raises(ValueError, match=r"'day/a.jpg' reach from 0.5 to 1.06; expected .*activation='clip'"):
        formats.mmpose.keypoints([merged], item_ids=IDS[:1])
    poses = formats.mmpose.keypoints([merged], item_ids=IDS[:1], activation="clip")
    assert poses.confidences.tolist() == [[0.5] * 17, [1.0] * 17]
    assert poses.keypoints is not None
    np.testing.assert_allclose(poses.keypoints[0, 0], [0.25, 1 / 3])


Alter = Callable[[Any], Any]


@pytest.mark.parametrize(
    "alter",
    [
        lambda tensor: tensor.requires_grad_(),
        lambda tensor: tensor.to(torch.bfloat16),
        lambda tensor: tensor.half(),
        lambda tensor: tensor.double(),
        lambda tensor: tensor.t().contiguous().t(),
    ],
)
def test_tensors_of_every_kind_are_read(alter: Alter) -> None:
    output = {
        "boxes": alter(torch.tensor(BOXES)),
        "scores": alter(torch.tensor([0.75, 0.5])),
        "labels": torch.tensor([1, 0]),
    }
    predictions = formats.torchvision.detections(["a.jpg"], [output], image_sizes=[(640, 480)])
    np.testing.assert_allclose(predictions.boxes, EXPECTED)
    assert predictions.scores.tolist() == [0.75, 0.5]


def test_a_tensor_without_numbers_is_refused_by_name() -> None:
    output = {"boxes": torch.zeros(2, 4, device="meta"), "scores": [0.75, 0.5], "labels": [1, 0]}
    with pytest.raises(ValueError, match=r"boxes of 'a.jpg' cannot be read as numbers: Cannot copy out of meta tensor"):
        formats.torchvision.detections(["a.jpg"], [output], image_sizes=[(640, 480)])
