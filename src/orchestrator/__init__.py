"""A linked-data notification inbox and orchestrator (W3C LDN, COAR Notify)."""
