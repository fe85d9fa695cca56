"""Everything that we ask of other people's servers, through one guarded way out."""

from orchestrator.ldn.editing import Editor
from orchestrator.ldn.egress import EgressSettings, guarded_session, is_public
from orchestrator.ldn.peers import Peers
from orchestrator.ldn.remotes import Patience, Remotes

__all__ = ["Editor", "EgressSettings", "Patience", "Peers", "Remotes", "guarded_session", "is_public"]
