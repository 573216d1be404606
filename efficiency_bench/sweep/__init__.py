"""Sweeps: manifest, jobs on this machine or through a launcher, status."""
