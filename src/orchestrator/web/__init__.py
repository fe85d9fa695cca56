"""What strangers see over HTTP: inbox, event log, profile, shapes and problems (floor 4)."""

from orchestrator.web.app import make_app
from orchestrator.web.descriptors import room
from orchestrator.web.server import CONNECTIONS, serve
from orchestrator.web.site import Live, Site

__all__ = ["CONNECTIONS", "Live", "Site", "make_app", "room", "serve"]
