"""Mirrors of the event log elsewhere; none of them can stop or slow a run."""
