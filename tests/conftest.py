"""What all suites share: how properties are tested, and where shared material lies."""

from pathlib import Path

import pytest
from hypothesis import settings

# Helpers of several suites assert like their tests do.
pytest.register_assert_rewrite("tests.acceptance.service", "tests.acceptance.peers")

# A slow machine is no failure, and a failure says how to repeat it.
settings.register_profile("orchestrator", deadline=None, print_blob=True)
settings.load_profile("orchestrator")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of specifications and corpora that lies beside the checkout, where there is one."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder
