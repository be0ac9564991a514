"""Where heat maps put the joints, and how near to the truth that is: PCK, PCKh and average precision by OKS."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from people import Floats, Person

_SIGMAS = {"nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062}
_SIGMAS |= {"hip": 0.107, "knee": 0.087, "ankle": 0.089, "neck": 0.079, "head_top": 0.079}


def positions_of(heatmaps: Floats) -> tuple[Floats, Floats]:
    """The peak of each map in pixels of the map, moved by a quarter towards the higher neighbour, and its height.

    The quarter is that of HRNet's evaluation; a peak at the border stays where it is along that axis.

    Args:
        heatmaps: `(k, h, w)`.

    Returns:
        `(k, 2)` x and y, where 0.5 is the centre of the first pixel, and `(k,)` heights.

    Examples:
        >>> positions_of(np.array([[[0.0, 0.2, 0.9, 0.5, 0.0]]]))
        (array([[2.75, 0.5 ]]), array([0.9]))
    """
    k, h, w = heatmaps.shape
    best = heatmaps.reshape(k, -1).argmax(axis=1)
    ys, xs = best // w, best % w
    maps = np.arange(k)
    result = np.stack([xs + 0.5, ys + 0.5], axis=1)
    for axis, places, n in ((0, xs, w), (1, ys, h)):
        for k_map in maps[(places > 0) & (places < n - 1)]:
            line = heatmaps[k_map, ys[k_map]] if axis == 0 else heatmaps[k_map, :, xs[k_map]]
            place = places[k_map]
            result[k_map, axis] += 0.25 * np.sign(line[place + 1] - line[place - 1])
    return result, heatmaps[maps, ys, xs]


def torso_of(person: Person, joint_names: Sequence[str]) -> float:
    """The distance in pixels from the left shoulder to the right hip, else from the right to the left; nan without both.

    References:
        B. Sapp and B. Taskar, MODEC: Multimodal Decomposable Models for Human Pose Estimation, CVPR 2013, whose torso
        diameter it is, between one shoulder and the other side's hip.
    """
    for ends in (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")):
        length = _distance(person, joint_names, ends)
        if np.isfinite(length):
            return length
    return float("nan")


def head_of(person: Person, joint_names: Sequence[str]) -> float:
    """The distance in pixels from the neck to the top of the head; nan where they are not labeled or no joints."""
    return _distance(person, joint_names, ("neck", "head_top"))


def correct_share(people: Sequence[Person], predicted: Sequence[Floats], thresholds: Sequence[float]) -> float:
    """Of the labeled joints, the share that is predicted within a distance: PCK, in [0, 1].

    Every joint counts the same, also of one person. With 0.2 of the torso's length as distance it is PCK@0.2, called PDJ by
    some; with half of the head's length it is PCKh@0.5, whose head is that of LSP here, from neck to top.

    Args:
        people: With the true joints.
        predicted: Of each person `(k, 2)` x and y in pixels of the photo.
        thresholds: Of each person the largest distance in pixels that is correct; people of nan are left out.

    Returns:
        The share; nan if all people are left out.

    References:
        Y. Yang and D. Ramanan, 2013, doi:10.1109/TPAMI.2012.261 (PCK); M. Andriluka, L. Pishchulin, P. Gehler and
        B. Schiele, 2014, doi:10.1109/CVPR.2014.471 (PCKh).
    """
    hits: list[npt.NDArray[np.bool_]] = []
    for person, joints, threshold in zip(people, predicted, thresholds):
        if np.isfinite(threshold):
            distances = np.linalg.norm(joints - person.joints, axis=1)
            hits.append(distances[person.is_labeled] <= threshold)
    return float(np.concatenate(hits).mean()) if hits else float("nan")


def average_precision(
    people: Sequence[Person], predicted: Sequence[Floats], confidences: Sequence[float], joint_names: Sequence[str]
) -> tuple[float, float]:
    """AP by object keypoint similarity, the mean over thresholds 0.50 to 0.95, and AP at 0.50, by pycocotools.

    Detections are made in the boxes of the annotated people, as many as there are: people that a detector would miss or
    invent do not lower it. The similarity is relative to each person's `area`, so that where a file gives that of the box,
    which is about twice what COCO's outlines give, figures are higher than COCO's. The falloffs are COCO's, those of neck
    and top of the head CrowdPose's.

    Args:
        people: With the true joints.
        predicted: Of each person `(k, 2)` x and y in pixels of the photo.
        confidences: By which detections are ranked.
        joint_names: Of the k joints.

    Raises:
        ModuleNotFoundError: Without pycocotools.
        ValueError: A joint whose falloff is not known.

    References:
        https://cocodataset.org/#keypoints-eval; J. Li et al., CrowdPose, 2019, arXiv:1812.00324.
    """
    try:
        pycoco, evaluation = (importlib.import_module(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("average precision needs pycocotools: pip install pycocotools") from error
    sigmas = sigmas_of(joint_names)
    truth = [
        {
            "id": number,
            "image_id": person.image_id,
            "category_id": 1,
            "keypoints": person.keypoints.ravel().tolist(),
            "num_keypoints": int(person.is_labeled.sum()),
            "bbox": list(person.box_xywh),
            "area": person.area,
            "iscrowd": 0,
        }
        for number, person in enumerate(people, start=1)
    ]
    detections = [
        {
            "image_id": person.image_id,
            "category_id": 1,
            "keypoints": np.concatenate([joints, np.ones((len(joints), 1))], axis=1).ravel().tolist(),
            "score": float(confidence),
        }
        for person, joints, confidence in zip(people, predicted, confidences)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        coco = pycoco.COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image_id} for image_id in sorted({person.image_id for person in people})],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": truth,
        }
        coco.createIndex()
        found = evaluation.COCOeval(coco, coco.loadRes(detections), "keypoints")
        found.params.kpt_oks_sigmas = sigmas
        found.evaluate()
        found.accumulate()
        found.summarize()
    return float(found.stats[0]), float(found.stats[1])


def sigmas_of(joint_names: Sequence[str]) -> Floats:
    """Falloffs `(k,)` of the joints, whose left and right ones are the same.

    Examples:
        >>> sigmas_of(["nose", "left_hip", "head_top"]).tolist()
        [0.026, 0.107, 0.079]
    """
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in joint_names]
    unknown = [name for name, kind in zip(joint_names, kinds) if kind not in _SIGMAS]
    if unknown:
        raise ValueError(f"joint {unknown[0]!r} has no known falloff; expected the joints of COCO, neck or head_top")
    return np.array([_SIGMAS[kind] for kind in kinds])


def figures_of(
    people: Sequence[Person], predicted: Sequence[Floats], confidences: Sequence[float], joint_names: Sequence[str]
) -> Mapping[str, float]:
    """PCK at 0.2 torsos, PCKh at half a head where there are heads, AP and AP50 of predicted joints."""
    torsos = [0.2 * torso_of(person, joint_names) for person in people]
    heads = [0.5 * head_of(person, joint_names) for person in people]
    precision, precision_50 = average_precision(people, predicted, confidences, joint_names)
    figures = {
        "pck": correct_share(people, predicted, torsos),
        "pckh": correct_share(people, predicted, heads),
        "ap": precision,
        "ap50": precision_50,
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _distance(person: Person, joint_names: Sequence[str], ends: tuple[str, str]) -> float:
    if not set(ends) <= set(joint_names):
        return float("nan")
    a, b = (list(joint_names).index(name) for name in ends)
    if not (person.is_labeled[a] and person.is_labeled[b]):
        return float("nan")
    return float(np.linalg.norm(person.joints[a] - person.joints[b]))
