"""Readers of other people's predictions, one module for each format; they give plain arrays."""
