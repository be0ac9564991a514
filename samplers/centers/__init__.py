"""Greedy k-center and its weighted forms: exact, lazy, and the same picks on every path."""
