"""Published rows as CSV, each with its source."""
