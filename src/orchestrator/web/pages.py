"""Small HTML pages for browsers: escaped text, links of ours, no script and no style (threat T17)."""

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

CSP: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_ANCHOR: Final = re.compile(r'<a id="([a-z0-9-]+)"></a>')
_CODE: Final = re.compile(r"`([^`]+)`")
_FENCE: Final = "```"
_MAX_LEVEL: Final = 6


def page(title: str, body: str) -> str:
    """Return a whole document; `body` is HTML already, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def links(targets: Iterable[tuple[str, str]]) -> str:
    """Return a list of links, each a URL and its text."""
    items = "".join(f'<li><a href="{escape(url)}">{escape(text)}</a></li>\n' for url, text in targets)
    return f"<ul>\n{items}</ul>"


def from_markdown(text: str) -> str:
    """Return our own pages as HTML: headings, anchors, lists, fences, code; all else is a paragraph.

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
