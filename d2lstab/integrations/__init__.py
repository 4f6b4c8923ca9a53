"""Readers' own d2l models and data, in and out."""
