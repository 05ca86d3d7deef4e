"""Use cases: one page each, one transaction each, including its audit event. Pure SQL through `Transaction`."""
