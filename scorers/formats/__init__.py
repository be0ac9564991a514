"""Readers of other people's predictions: one module for each format, one function in it for each task that it feeds.

Each returns predictions for a scorer. No framework is imported: objects are recognised by the fields that they carry.
"""

from . import (
    coco,
    csv,
    detectron2,
    huggingface,
    label_studio,
    mmdetection,
    mmpose,
    npy,
    supervision,
    torchvision,
    ultralytics,
    yolo,
)

__all__ = [
    "coco",
    "csv",
    "detectron2",
    "huggingface",
    "label_studio",
    "mmdetection",
    "mmpose",
    "npy",
    "supervision",
    "torchvision",
    "ultralytics",
    "yolo",
]
