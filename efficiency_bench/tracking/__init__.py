"""Mirrors of the event log elsewhere; none of them can stop, slow or alter a run."""
