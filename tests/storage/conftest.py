"""Asserts of the contract are explained like those of the tests."""

import pytest

for _part in ("ledger", "log", "outbox", "races", "sources"):
    pytest.register_assert_rewrite(f"tests.storage.contract_{_part}")
