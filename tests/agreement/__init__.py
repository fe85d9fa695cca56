"""Fast paths against their oracles, on generated input: `python -m tests.agreement.documents --help`."""
