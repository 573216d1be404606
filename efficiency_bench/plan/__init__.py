"""Estimates what runs will cost: hours, energy, money, disk."""
