"""One run, from its configuration to the end of its event log."""
