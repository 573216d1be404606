"""Runs trained by two real processes."""
