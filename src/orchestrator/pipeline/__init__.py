"""Use cases: one module per stage. Stages never call each other; the next starts from the store."""
