"""FFCV's .beton files: write, check and load them."""
