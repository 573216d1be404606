"""Runs repeated and compared: train again, kill and resume, recount the data."""
