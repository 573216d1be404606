"""The ledger as tables for other programs: runs, learning curves and fitted rows."""
