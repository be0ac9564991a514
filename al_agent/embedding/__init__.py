"""Embeddings of images: a vector for each item."""

from .embeddings import Embeddings

__all__ = ["Embeddings"]
