"""Everything that can be refused or go wrong, as one tree.

OrchestratorError
├── ScreeningRefused           a notification is not accepted; carries every finding of the stage
│   ├── UnreadableBytes        stage 1: not strict JSON, or past a limit of structure
│   ├── TooLarge               stage 1: more bytes than an inbox takes
│   ├── UnacceptableDocument   stage 3: not one AS2 activity with known contexts
│   ├── ShapeViolated          stage 4: a SHACL violation
│   ├── TooCostly              screening took more than its budget
│   └── SenderRefused          stage 5: this sender may not have written it
├── UnsupportedMediaType
├── ConflictingContent         same sender and id, other content
├── NotFound
│   └── Erased                 it was here, and had to be taken out
├── NotAcceptable
├── BadRequest                 a parameter that we cannot read
├── MethodNotAllowed
├── Overloaded                 try again later
├── RequestTimeout             the sender is too slow
├── AuthenticationRequired
├── ConfigurationError         a setting, shape, context or policy that we cannot use
├── PeerError                  somebody else's server
│   ├── AddressRefused         the guarded egress will not connect there
│   ├── PeerUnreachable        no answer
│   │   └── PeerBusy           429 or 503: come back later
│   ├── AnswerRefused          an answer that we cannot use (too large, a redirect, nonsense)
│   └── InboxNotFound          discovery ended without an inbox
└── StorageError               the database did not do what was asked
    ├── LeaseLost              a later claimant holds it
    └── LogAhead               the log's time would lead the clock too far

The docstring of a class is its default message; `slug` names its page under `/problems/`.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.finding import Finding


class OrchestratorError(Exception):
    """Something went wrong."""

    slug: ClassVar[str] = "internal-error"

    def __init__(self, message: str | None = None) -> None:
        """Take `message`, or say what the docstring says."""
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """What to tell the person at the other end."""
        return str(self)


class ScreeningRefused(OrchestratorError):
    """The notification is not accepted."""

    slug = "refused"

    def __init__(self, findings: "Sequence[Finding]" = (), message: str | None = None) -> None:
        """Take every finding of the stage that refused."""
        super().__init__(message)
        self.findings = tuple(findings)


class UnreadableBytes(ScreeningRefused):
    """The body is not JSON that can be read without guessing."""

    slug = "unreadable-bytes"


class TooLarge(ScreeningRefused):
    """The body is larger than this inbox takes."""

    slug = "too-large"


class UnacceptableDocument(ScreeningRefused):
    """The body is not an ActivityStreams 2 activity in JSON-LD with known contexts."""

    slug = "unacceptable-document"


class ShapeViolated(ScreeningRefused):
    """The notification does not have the shape that its pattern asks for."""

    slug = "shape-violated"


class TooCostly(ScreeningRefused):
    """Screening the notification took more time than it may."""

    slug = "too-costly"


class SenderRefused(ScreeningRefused):
    """The sender is none of those that this source's or inbox's policy admits."""

    slug = "sender-refused"


class UnsupportedMediaType(OrchestratorError):
    """The inbox does not take this media type or content encoding."""

    slug = "unsupported-media-type"


class ConflictingContent(OrchestratorError):
    """This sender has used this id before, for other content; the first stays."""

    slug = "conflicting-content"


class NotFound(OrchestratorError):
    """There is nothing at this address."""

    slug = "not-found"


class Erased(NotFound):
    """What was here has been erased."""

    slug = "erased"


class NotAcceptable(OrchestratorError):
    """None of the media types that you accept is available."""

    slug = "not-acceptable"


class BadRequest(OrchestratorError):
    """A parameter of the request cannot be read."""

    slug = "bad-request"


class MethodNotAllowed(OrchestratorError):
    """This resource does not take this method."""

    slug = "method-not-allowed"


class Overloaded(OrchestratorError):
    """More work is waiting than can be done; try again later."""

    slug = "overloaded"


class RequestTimeout(OrchestratorError):
    """The body did not arrive in time."""

    slug = "request-timeout"


class AuthenticationRequired(OrchestratorError):
    """This resource is private: show a token."""

    slug = "authentication-required"


class ConfigurationError(OrchestratorError):
    """A setting, shape, context or policy cannot be used."""

    slug = "configuration-error"


class PeerError(OrchestratorError):
    """Another server did not do what was asked."""

    slug = "peer-error"


class AddressRefused(PeerError):
    """The address is not public, and no setting allows it."""

    slug = "address-refused"


class PeerUnreachable(PeerError):
    """The server did not answer."""

    slug = "peer-unreachable"


class PeerBusy(PeerUnreachable):
    """The server asks to be left alone for a while."""

    def __init__(self, message: str | None = None, retry_after: float | None = None) -> None:
        """Take the seconds that it asks for, where it says so."""
        super().__init__(message)
        self.retry_after = retry_after


class AnswerRefused(PeerError):
    """The server's answer cannot be used."""

    slug = "answer-refused"


class InboxNotFound(PeerError):
    """No LDN inbox is advertised there."""

    slug = "inbox-not-found"


class StorageError(OrchestratorError):
    """The database could not do what was asked."""

    slug = "storage-error"


class LeaseLost(StorageError):
    """A later claimant holds this; what came too late changes nothing."""

    slug = "lease-lost"


class LogAhead(StorageError):
    """The log's time would lead the clock too far; the backlog waits."""

    slug = "log-ahead"
