"""What strangers see over HTTP: inbox, event log, profile, shapes and problems (floor 4)."""

from orchestrator.web.app import make_app
from orchestrator.web.server import serve
from orchestrator.web.site import Site

__all__ = ["Site", "make_app", "serve"]
