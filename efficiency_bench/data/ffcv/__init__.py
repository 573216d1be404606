"""FFCV's files: written, checked, read, cropped."""
