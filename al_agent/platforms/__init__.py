"""Annotation platforms: one folder for each vendor, one interface for all."""
