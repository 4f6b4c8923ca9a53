"""The exercises, one file a lesson, imported when they are needed."""
