"""The HTML page of a ledger."""
