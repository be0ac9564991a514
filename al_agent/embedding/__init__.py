"""Embeddings of images: a vector for each item, made from the images or brought along."""

from .embedder import Embedder
from .embeddings import Embeddings

__all__ = ["Embedder", "Embeddings"]
