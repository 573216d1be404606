"""What happened: event logs, entries, the ledger's folder."""
