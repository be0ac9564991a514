"""Messages of the library in the words of the command line."""

from __future__ import annotations

_WORDS = {
    "use from_logits": "use {logits}",
    "from_logits, and keep every class": "{logits}, and keep every class",
    "see class_axis": "see --class-axis",
    "class_axis=": "--class-axis ",
    "score the whole unlabeled_set": "predict every unlabeled image",
    "without_boxes=...": "--without-objects",
    "without_instances=...": "--without-objects",
    'lines="polygons"': "--option lines=polygons",
    "clip_confidences=True": "--option clip_confidences=true",
    "image_field=...": "--option image_field=...",
    "model_version=...": "--option model_version=...",
    "formats.coco.keypoints": "--coco-keypoints",
    "formats.coco.detections": "--coco-results",
}


def in_words_of_options(message: str, task: str) -> str:
    """A message of the library with the command's options in place of Python's.

    Args:
        message: The message.
        task: What the predictions are for.
    """
    logits = "--map-logits" if task == "segmentation" else "--logits"
    for word, option in _WORDS.items():
        message = message.replace(word, option.format(logits=logits))
    return message
