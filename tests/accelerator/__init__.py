"""Tests of the CUDA path on a stand-in for a GPU (``stand_in.py`` says what that cannot show)."""
