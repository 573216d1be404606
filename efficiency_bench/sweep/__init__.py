"""Sweeps: their manifest, their jobs here or through a launcher, their status."""
