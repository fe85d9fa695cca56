"""The service, with a SIGKILL at one named place: `python driver.py PLACE NUMBER serve …`.

Everything is as in the product, but that the NUMBER-th time that PLACE is reached this process ends itself as
a power cut or the kernel would.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

import sqlalchemy as sa

from orchestrator import __main__, bootstrap
from orchestrator.ldn import Peers
from orchestrator.storage import Store

When = Literal["before", "after"]
# Place → whose method, and when about it. Claims that come back with nothing do not count.
METHODS: Final[dict[str, tuple[str, str, When]]] = {
    "kept": ("ledger", "keep", "after"),
    "claimed": ("ledger", "claim", "after"),
    "decided": ("ledger", "record", "before"),
    "recorded": ("ledger", "record", "after"),
    "delivery claimed": ("outbox", "claim", "after"),
    "inbox discovered": ("peers", "discover", "after"),
    "prepared": ("outbox", "prepare", "after"),
    "sent": ("peers", "send", "after"),
    "finished": ("outbox", "finish", "after"),
}
# Place → the statement in the middle of a transaction after which nothing more is written.
STATEMENTS: Final = {
    "half kept": "INSERT INTO notification ",
    "half recorded": "INSERT INTO event ",
    "all but committed": "UPDATE log_head ",
    "half finished": "UPDATE delivery SET state",
}
PLACES: Final = (*METHODS, *STATEMENTS)


def main(place: str, number: int, arguments: list[str]) -> None:
    """Run the command with everything in place for its end."""
    left = [number]

    def reached() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class EndingStore(Store):
        """The database, with an end."""

        def __init__(self, engine: sa.Engine, **named: Any) -> None:
            super().__init__(engine, **named)
            for name in ("ledger", "outbox"):
                _wrap(name, getattr(self, name), place, reached)
            if place in STATEMENTS:
                _listen(engine, STATEMENTS[place], reached)

    class EndingPeers(Peers):
        """The way out, with an end."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            _wrap("peers", self, place, reached)

    ours = {"Store": EndingStore, "Peers": EndingPeers}
    if not all(issubclass(kind, vars(bootstrap)[name]) for name, kind in ours.items()):
        sys.exit("bootstrap makes something else")
    vars(bootstrap).update(ours)
    sys.argv = ["orchestrator", *arguments]
    __main__.main()


def _wrap(name: str, owner: object, place: str, reached: Callable[[], None]) -> None:
    whose, method, when = METHODS.get(place, ("", "", "after"))
    if whose != name:
        return
    original = getattr(owner, method)

    async def wrapped(*given: Any, **named: Any) -> Any:
        if when == "before":
            reached()
        result = await original(*given, **named)
        if when == "after" and result != []:
            reached()
        return result

    setattr(owner, method, wrapped)


def _listen(engine: sa.Engine, beginning: str, reached: Callable[[], None]) -> None:
    @sa.event.listens_for(engine, "after_cursor_execute")
    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(beginning):
            reached()


if __name__ == "__main__":
    if sys.argv[1] not in PLACES:
        sys.exit(f"no place is called {sys.argv[1]}")
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
