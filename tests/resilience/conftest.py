"""The server processes of the acceptance tests, for those who end them by force."""

from tests.acceptance.conftest import serve

__all__ = ["serve"]
