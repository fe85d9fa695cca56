"""Pages for people: what strangers wrote is text in them, and they are whole, findable and readable."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import pytest

from orchestrator.core import vocabulary as v
from orchestrator.core.event import Draft, LifecycleEvent, seal
from orchestrator.ports import Head
from orchestrator.web import Site, html
from orchestrator.web.headers import CSP
from orchestrator.web.markdown import from_markdown

BASE = "https://orchestrator.example"
BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
STYLE: Final = Path(html.__file__).with_name("style.css").read_text("utf-8")
VOID: Final = {"meta", "link", "input"}
HARMLESS: Final = {False: "urn:harmless:1", True: "https://harmless.example/1"}
FORMS: Final = {v.JSON_LD: f"{BASE}/log.jsonld?page=1&x=1", v.TURTLE: f"{BASE}/log.ttl"}
Write = Callable[..., Awaitable[list[dict[str, Any]]]]
Shape = list[tuple[str, tuple[str, ...]]]

PAYLOADS: Final = (
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "<<script>alert(1)//<</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\x20type='text/javascript'>alert(1)</script>",
    "<script/x>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=x:alert(alt) onerror=eval(src) alt=0>",
    "<img/src/onerror=alert(1)>",
    "<img src='javascript:alert(1)'>",
    '<IMG """><SCRIPT>alert(1)</SCRIPT>">',
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<svg><script>alert&#40;1)</script>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=data:text/html,<script>alert(1)</script>></object>",
    "<embed src=javascript:alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<form action=javascript:alert(1)><input type=submit>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import '//evil.example/x.css';</style>",
    "<style>*{background:url(javascript:alert(1))}</style>",
    "<div style='width:expression(alert(1))'>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "--><script>alert(1)</script><!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></code><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "` onmouseover=`alert(1)",
    'https://evil.example/"onmouseover="alert(1)',
    "https://evil.example/'><img src=x onerror=alert(1)>",
    "HTTPS://evil.example/><svg onload=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "\u003cscript\u003ealert(1)\u2028",
    "{{ 7 * 7 }}{% include 'base.html' %}{# x #}",
    "{{ ''.__class__.__mro__ }}<b>",
    "javascript:alert(1)",
    "\u202ejavascript:alert(1)<i>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e<u>",
    "\x01<script>alert(1)</script>" + "x" * 300,
)
NO_LINKS: Final = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "\tjavascript:alert(1)",
    "\x01javascript:alert(1)",
    "java\nscript:alert(1)",
    "javascript://https://x.example/%0aalert(1)",
    "javascript&colon;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "blob:https://x.example/1",
    "file:///etc/passwd",
    "view-source:https://x.example/",
    "mailto:someone@x.example",
    "//evil.example/",
    "http:evil.example",
    " https://evil.example/",
    "urn:uuid:1",
)


class Page(HTMLParser):
    """A page as it is read: its elements, whether each was closed in its turn, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: Shape = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs)
        self.shape.append((tag, tuple(given)))
        self.elements.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    unknown_decl = handle_pi = handle_comment

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every element of that name."""
        return [given for name, given in self.elements if name == tag]

    @property
    def fields(self) -> dict[str, str]:
        """What the page's form would send as it stands."""
        return {given["name"]: given["value"] for given in self.all("input")}


def event(word: str = "urn:x:1", *, sequence: int = 1, **changes: Any) -> LifecycleEvent:
    """Return an event in which all that a sender chooses is `word`."""
    draft = Draft(
        types=(v.AS + "Announce", word),
        activity=word,
        sender=word,
        received=1_900_000_000_000,
        artefact=word,
        actor=word,
        origin=word,
        in_reply_to=word,
        correlated_by="inReplyTo",
        caused_by=f"{BASE}/log/e/1",
        policy_set="urn:sha256:0",
        payload=json.dumps({"id": word, "summary": word, word: [word]}).encode(),
        salt="c2FsdA",
    )
    drafted = replace(draft, **changes)
    return seal(drafted, sequence=sequence, created=1_900_000_000_000 + sequence, public_url=BASE)


def pages_about(site: Site, word: str) -> Iterator[str]:
    """Yield every page that shows something that a stranger, or the site's owner, wrote."""
    about = event(word)
    # The four filters are shown because they are in force, and this one because it is not a field.
    filters = {"type": word, "artefact": word, "actor": word, "in-reply-to": word, "since": word}
    named = replace(site, identity=replace(site.identity, name=word))
    links = {"next": f"{BASE}/log?page=2"}
    yield html.log_page(site, title=word, events=[about], links=links, forms=FORMS, filters=filters)
    yield html.event_page(site, event=about, links=links, forms=FORMS)
    yield html.artefact_page(site, iri=word, inbox=f"{BASE}/inbox/", log=f"{BASE}/log", forms=FORMS)
    yield html.log_root(named, head=Head(sequence=1, created=1), first=BASE, last=BASE, forms=FORMS)
    yield html.listing(named, title=word, targets=[(f"{BASE}/shapes/x", word)])
    # Our own texts have code between backticks.
    yield html.article(named, title=word, body=from_markdown(f"# {word}".replace("`", "")))


def test_there_are_at_least_sixty_payloads_and_no_two_are_the_same() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


async def test_what_strangers_wrote_adds_no_element_and_no_attribute(house: Any) -> None:
    expected = {
        is_web: [Page(page).shape for page in pages_about(house.site, harmless)]
        for is_web, harmless in HARMLESS.items()
    }
    assert expected[True] != expected[False]  # an address of theirs is a link
    for payload in PAYLOADS:
        is_web = payload.lower().startswith("https://")
        assert [Page(page).shape for page in pages_about(house.site, payload)] == expected[is_web], payload


async def test_what_strangers_wrote_is_shown_to_the_letter(house: Any) -> None:
    for payload in PAYLOADS:
        about = event(payload)
        page = Page(html.event_page(house.site, event=about, links={}, forms={}))
        assert page.text.count(payload) >= 5, payload
        assert json.dumps(payload, ensure_ascii=False) in page.text


async def test_only_addresses_of_the_web_become_links(house: Any) -> None:
    for iri in (*PAYLOADS, *NO_LINKS):
        for text in pages_about(house.site, iri):
            for tag, given in Page(text).elements:
                assert not {"src", "formaction", "srcdoc", "style"} & set(given)
                assert not [name for name in given if name.startswith("on")]
                target = given.get("href", given.get("action", BASE))
                assert target == "/style.css" or re.match("(?i)https?://|/log$", target), (tag, iri)
                if tag == "a" and not target.startswith(BASE):
                    assert iri.lower().startswith("https://")
                    assert given["rel"] == "nofollow noreferrer"


async def test_a_page_is_whole_and_its_parts_are_named(house: Any) -> None:
    for text in pages_about(house.site, "urn:x:1"):
        page = Page(text)
        assert text.startswith('<!doctype html>\n<html lang="en">\n')
        for landmark in ("header", "main", "h1", "title"):
            assert len(page.all(landmark)) == 1
        for nav in page.all("nav"):
            assert nav["aria-label"]
        assert len({nav["aria-label"] for nav in page.all("nav")}) == len(page.all("nav"))
        ids = [given["id"] for _, given in page.elements if "id" in given]
        assert len(set(ids)) == len(ids)
        named = {given["for"] for given in page.all("label")}
        assert named == {given["id"] for given in page.all("input")}
        assert {given.get("aria-labelledby", ids[0] if ids else None) for _, given in page.elements} <= {
            *ids,
            None,
        }
        assert not page.all("script") + page.all("style")


async def test_a_page_of_the_log_is_a_table_in_log_order(house: Any) -> None:
    events = [event("https://x.example/?a=1&b=2", sequence=number, artefact=None) for number in (7, 8)]
    events.append(event("urn:x:9", sequence=9, origin=None))
    links = {"first": f"{BASE}/log?page=1", "last": f"{BASE}/log?page=3&x"}
    text = html.log_page(house.site, title="Page 3 of the log", events=events, links=links, forms=FORMS)
    page = Page(text)
    assert "3 events, oldest first." in page.text
    assert [th["scope"] for th in page.all("th")] == ["col"] * 6 + ["row"] * 3
    assert re.findall(r'<th scope="row"><a href="([^"]+)">(\d+)</a>', text) == [
        (f"{BASE}/log/e/{number}", str(number)) for number in (7, 8, 9)
    ]
    assert next(time["datetime"] for time in page.all("time")) == "2030-03-17T17:46:40.007Z"
    assert "2030-03-17 17:46:40 UTC" in page.text
    assert "LifecycleEvent" not in page.text
    targets = [link["href"] for link in page.all("a")]
    assert f"{BASE}/artefacts/log?url=urn%3Ax%3A9" in targets
    assert targets.count("https://x.example/?a=1&b=2") == 4  # activity and origin, twice
    assert targets.count(links["first"]) == targets.count(links["last"]) == 2
    assert page.all("form") == []


async def test_a_page_says_where_its_other_forms_are(house: Any) -> None:
    for text in list(pages_about(house.site, "urn:x:1"))[:4]:
        page = Page(text)
        alternates = [link for link in page.all("link") if link["rel"] == "alternate"]
        assert {link["type"]: link["href"] for link in alternates} == FORMS
        assert {link["href"] for link in page.all("a")} >= set(FORMS.values())
        assert "N-Quads" not in page.text.partition("This page for machines:")[2]
        assert "JSON-LD" in page.text.partition("This page for machines:")[2]


async def test_an_empty_page_says_so_and_a_stream_how_to_follow_it(house: Any) -> None:
    live = f"{BASE}/log/live?after=3"
    page = Page(html.log_page(house.site, title="x", events=[], links={}, forms={}, live=live))
    assert "There are no events here." in page.text
    assert f"curl -N '{live}'" in page.text
    assert page.all("table") == []


async def test_the_root_says_how_many_events_there_are_and_how_to_read_them(house: Any) -> None:
    ends = {"first": f"{BASE}/log?page=1", "last": f"{BASE}/log?page=8"}
    head = Head(sequence=1_999, created=1_900_000_000_000)
    page = Page(html.log_root(house.site, head=head, forms=FORMS, **ends))
    assert "Event log of Test <orchestrator>" in page.text
    assert "1999" in page.text
    targets = {link["href"] for link in page.all("a")}
    assert {*ends.values(), f"{BASE}/log/checkpoint", f"{BASE}/ns/log"} <= targets
    assert f"curl -N '{BASE}/log/live'" in page.text
    assert set(page.fields) == {"type", "artefact", "actor", "in-reply-to"}
    assert "Newest\n2030" in re.sub(r"\n+", "\n", page.text)
    empty = Page(html.log_root(house.site, head=Head(sequence=0, created=0), forms=FORMS, **ends))
    assert "1970" not in empty.text


async def test_an_event_shows_its_whole_envelope_and_its_notification(house: Any) -> None:
    about = event("https://x.example/1")
    page = Page(html.event_page(house.site, event=about, links={"prev": f"{BASE}/log/e/0"}, forms=FORMS))
    envelope: Mapping[str, Any] = json.loads(about.envelope)
    assert len(page.all("dt")) == len(envelope) + 1
    for term in ("id", "artefact", "digest", "policySet", "correlatedBy"):
        assert envelope[term] in page.text
    assert about.leaf.hex() in page.text
    assert about.payload is not None
    shown = page.text[page.text.rindex("Notification") :].partition("{")[2].rpartition("}")[0]
    assert json.loads("{" + shown + "}") == json.loads(about.payload)


async def test_an_erased_event_keeps_its_envelope_and_says_what_is_gone(house: Any) -> None:
    erased = replace(event(), payload=None, salt=None)
    page = Page(html.event_page(house.site, event=erased, links={}, forms={}))
    assert "The notification was erased." in page.text
    assert page.all("pre") == []
    assert json.loads(erased.envelope)["digest"] in page.text


async def test_the_filter_form_keeps_what_was_asked_for(house: Any) -> None:
    filters = {"type": "Announce", "actor": 'https://x.example/?a="b"&c=<d>&amp;e=\'', "limit": "7"}
    text = html.log_page(house.site, title="x", events=[], links={}, forms={}, filters=filters)
    assert Page(text).fields == {"artefact": "", "in-reply-to": "", **filters}


async def test_what_the_filter_form_sends_finds_what_was_asked_for(house: Any, write: Write) -> None:
    await write(house, 2)
    sent = (await write(house, 1, slug="request-review"))[0]
    root = Page((await house.ask("/log", Accept=BROWSER))._body.decode())
    [form] = root.all("form")
    filled = {**root.fields, "type": "Offer", "actor": sent["actor"]["id"]}
    answer = await house.ask(f"{form['action']}?{urlencode(filled)}", Accept=BROWSER)
    found = Page(answer._body.decode())
    assert [row["scope"] for row in found.all("th")] == ["col"] * 6 + ["row"]
    assert f"{BASE}/log/e/3" in [link["href"] for link in found.all("a")]
    assert found.fields == filled


async def test_stylesheet_and_form_belong_to_the_host_that_is_asked(house: Any) -> None:
    # Behind a proxy that has us below a path: what `'self'` means stays true there.
    site = replace(house.site, public_url="https://host.example/notify")
    ends = {
        "first": "https://host.example/notify/log?page=1",
        "last": "https://host.example/notify/log?page=1",
    }
    page = Page(html.log_root(site, head=Head(sequence=1, created=1), forms={}, **ends))
    assert [link["href"] for link in page.all("link")] == ["/notify/style.css"]
    assert [form["action"] for form in page.all("form")] == ["/notify/log"]


async def test_a_page_may_only_be_read_styled_by_us_and_sent_to_us(house: Any) -> None:
    for path in ("/", "/shapes/", "/problems/not-found"):
        answer = await house.ask(path, Accept=BROWSER)
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        Page(answer._body.decode())
    assert set(CSP.split("; ")) == {
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    }


async def test_the_stylesheet_is_served_where_pages_look_for_it(house: Any) -> None:
    page = Page((await house.ask("/", Accept=BROWSER))._body.decode())
    [path] = [link["href"] for link in page.all("link") if link["rel"] == "stylesheet"]
    answer = await house.ask(path, Accept="text/css,*/*;q=0.1")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer._body.decode() == STYLE
    assert (await house.ask(path, If_None_Match=answer.headers["ETag"])).status == 304


def test_the_stylesheet_is_small_and_fetches_nothing() -> None:
    assert len(STYLE.encode()) < 4_096
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_by_day_and_by_night() -> None:
    schemes = re.findall(r":root \{([^}]*--ink[^}]*)\}", STYLE)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): #([0-9a-f]+)", scheme))
        for ground in ("paper", "soft"):
            assert min(contrast(colours[ink], colours[ground]) for ink in ("ink", "link", "seen")) >= 7
        assert contrast(colours["line"], colours["paper"]) >= 3


@pytest.mark.parametrize("accept", ["*/*", "text/*", "application/*, */*;q=0.1", "text/html;q=0, */*", "x"])
async def test_html_is_for_those_who_name_it(house: Any, write: Write, accept: str) -> None:
    sent = (await write(house, 1))[0]
    found = await house.ask("/artefacts?" + urlencode({"url": sent["context"]["id"]}))
    artefact = urlsplit(found.headers["Location"]).path
    for path in ("/", "/shapes/", "/problems/", "/log", "/log?page=1", "/log?since=0", "/log/e/1", artefact):
        assert (await house.ask(path, Accept=accept)).content_type != "text/html"
        assert (await house.ask(path)).content_type != "text/html"


async def test_a_browser_gets_pages_of_the_log_about_what_was_sent(house: Any, write: Write) -> None:
    evil = "<img src=x onerror=alert(1)>"
    sent = (await write(house, 1, summary=evil))[0]
    found = await house.ask("/artefacts?" + urlencode({"url": sent["context"]["id"]}))
    artefact = urlsplit(found.headers["Location"]).path
    for path in ("/log", "/log?page=1", "/log?since=0", "/log/e/1", artefact, f"{artefact}/log"):
        answer = await house.ask(path, Accept=BROWSER)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8", path
        assert answer.headers["Content-Security-Policy"] == CSP
        page = Page(answer._body.decode())
        assert page.all("img") == []
        for alternate in [link for link in page.all("link") if link["rel"] == "alternate"]:
            there = await house.ask(alternate["href"].removeprefix(BASE))
            assert (there.status, there.content_type) == (200, alternate["type"])
        assert (evil in page.text) == (path == "/log/e/1")
