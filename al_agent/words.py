"""Pieces of sentences: counts with their nouns and verbs, nouns with their articles."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    Examples:
        >>> counted(1, "image"), counted(1_234, "image"), counted(2, "class", "classes")
        ('1 image', '1,234 images', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def are(count: int, noun: str) -> str:
    """A count with its noun and its verb: `1 pick is`, `2 picks are`."""
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


def with_article(noun: str) -> str:
    """`an item`, `a score`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
