"""SHACL Core, compiled once to closures over an index of a document (`docs/decisions/0008`)."""
