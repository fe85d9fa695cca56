"""What a store must do, stated once for every engine: an engine's tests inherit `StoreContract`.

They supply the fixtures `url` (an empty database) and `open_store` (opens that database, closes in the end).
"""

from collections.abc import Callable

import pytest
from tests.storage.contract_erasure import ErasureContract
from tests.storage.contract_keys import KeyContract
from tests.storage.contract_ledger import LedgerContract
from tests.storage.contract_log import LogContract
from tests.storage.contract_outbox import OutboxContract
from tests.storage.contract_races import RaceContract
from tests.storage.contract_sources import SourceContract
from tests.storage.contract_tree import TreeContract

from orchestrator.storage import Store

OpenStore = Callable[[], Store]


class StoreContract(
    LedgerContract,
    LogContract,
    OutboxContract,
    RaceContract,
    SourceContract,
    TreeContract,
    KeyContract,
    ErasureContract,
):
    """All behaviours of a store."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """Return an open store."""
        return open_store()
