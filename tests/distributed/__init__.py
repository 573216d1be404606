"""Two real processes that train one run."""
