"""The search for a row's shortest schedule."""
