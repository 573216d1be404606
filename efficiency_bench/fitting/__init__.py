"""What it means: crossings, rows of a fit, halving times."""
