"""Knobs on the pictures."""
