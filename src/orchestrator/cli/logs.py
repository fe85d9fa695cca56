"""Log lines on stderr: one JSON object each for a service, one readable line each for a command."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

from orchestrator.cli.output import as_json, plain

OURS: Final = "orchestrator"


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, action, text, logger, and the error if any.

    `action` is the first word of the text, by which lines are found; a stranger's newline or escape
    sequence in the text stays inside the string (threat T16).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = record.getMessage()
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        members = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "action": next(iter(text.split()), ""),
            "text": text,
            "logger": record.name,
        }
        if record.exc_info:
            members["error"] = self.formatException(record.exc_info)
        return as_json(members)


class Sentences(logging.Formatter):
    """Formats a record for a person: level and text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the error's lines after it, if any."""
        lines = [plain(f"{record.levelname.lower()}: {record.getMessage()}")]
        if record.exc_info:
            lines += map(plain, self.formatException(record.exc_info).splitlines())
        return "\n".join(lines)


def configure(formatter: logging.Formatter, *, ours: int, others: int = logging.WARNING) -> None:
    """Log to stderr from now on, from level `ours` in our modules and `others` in everybody else's."""
    there = logging.StreamHandler(sys.stderr)
    there.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [there]
    root.setLevel(others)
    logging.getLogger(OURS).setLevel(ours)
    # rdflib tells of every ill-typed literal with a traceback; what is wrong with it is a finding already.
    logging.getLogger("rdflib").setLevel(logging.ERROR)
