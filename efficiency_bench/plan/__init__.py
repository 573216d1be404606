"""What runs would cost: hours, energy, money, disk."""
