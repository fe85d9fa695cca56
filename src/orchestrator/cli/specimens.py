"""Notifications to try things with: a sound one for each COAR pattern, under a new id."""

import difflib
import json
import uuid
from pathlib import Path

import click


def specimen(slug: str) -> bytes:
    """Return the specimen of pattern `slug`, with an id that nobody has seen.

    Raises `click.BadParameter` that names the nearest pattern, or all.
    """
    known = patterns()
    if slug not in known:
        near = difflib.get_close_matches(slug, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        raise click.BadParameter(f"unknown pattern {slug!r}; {hint}", param_hint="'--pattern'")
    document = json.loads(known[slug].read_text(encoding="utf-8"))
    document["id"] = f"urn:uuid:{uuid.uuid4()}"
    return json.dumps(document, ensure_ascii=False, indent=2).encode()


def patterns() -> dict[str, Path]:
    """Return the files of the specimens by slug."""
    from orchestrator.catalogue import packaged

    return {file.parent.name: file for file in sorted(packaged("specimens").glob("*/valid.json"))}
