"""Our own texts as HTML: the part of Markdown that they are written in, all of it escaped (threat T17)."""

import re
from collections.abc import Iterator
from html import escape
from typing import Final

_ANCHOR: Final = re.compile(r'<a id="([A-Za-z0-9-]+)"></a>')
_CODE: Final = re.compile(r"`([^`]+)`")
_FENCE: Final = "```"
_MAX_LEVEL: Final = 6


def from_markdown(text: str) -> str:
    """Return our own pages as HTML: headings, anchors, fences, code; all else is a paragraph.

    Everything is escaped before it is marked up, so that a page can only ever show text.
    """
    return "\n".join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    left = iter(lines)
    paragraph: list[str] = []
    for line in left:
        is_text = line.strip() and not line.startswith((_FENCE, "#", "- ", "<a id="))
        if is_text:
            paragraph.append(line)
            continue
        if paragraph:
            yield f"<p>{_inline(' '.join(paragraph))}</p>"
            paragraph = []
        if line.startswith(_FENCE):
            yield f"<pre>{escape(chr(10).join(_until_fence(left)))}</pre>"
        elif line.strip():
            yield _line(line)
    if paragraph:
        yield f"<p>{_inline(' '.join(paragraph))}</p>"


def _until_fence(left: Iterator[str]) -> Iterator[str]:
    for line in left:
        if line.startswith(_FENCE):
            return
        yield line


def _line(line: str) -> str:
    anchor = _ANCHOR.fullmatch(line.strip())
    if anchor:
        return f'<a id="{anchor[1]}"></a>'
    if line.startswith("#"):
        level = min(len(line) - len(line.lstrip("#")), _MAX_LEVEL)
        return f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"
    return f"<p>{_inline(line)}</p>"


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
