"""Asserts of the contract are explained like those of the tests."""

import pytest

for _part in ("erasure", "keys", "ledger", "log", "outbox", "races", "sources", "tree"):
    pytest.register_assert_rewrite(f"tests.storage.contract_{_part}")
