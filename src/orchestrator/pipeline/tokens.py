"""Bearer tokens, from files: so that they can be changed while we run, and none is stored elsewhere."""

from pathlib import Path
from typing import Final

from orchestrator.core.errors import ConfigurationError

_MOST: Final = 8_192


def read_token(path: str | None) -> str | None:
    """Return the bearer token in the file at `path`; None without a path. Raises `ConfigurationError`."""
    if path is None:
        return None
    try:
        with Path(path).open(encoding="ascii") as file:
            token = file.read(_MOST).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"token_file {path}: {reason}") from None
    if not token or not token.isprintable() or " " in token:
        raise ConfigurationError(f"token_file {path} holds no token")
    return token
