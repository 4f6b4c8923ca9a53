"""Knobs on the pictures."""

from d2lstab.widgets.explorer import Explorer

__all__ = ["Explorer"]
