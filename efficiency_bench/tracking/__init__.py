"""Mirrors of the event log in other services; they cannot stop, slow or alter a run."""
