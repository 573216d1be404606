"""From a configuration to a ledger entry: one run, wired."""
