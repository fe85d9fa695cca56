"""The app of use case 1.b: it follows an event log, links artefacts to their reviews, and tells of it."""

from orchestrator.app.agenda import Agenda
from orchestrator.app.deciding import Aim, Deciding
from orchestrator.app.filtering import ShapeFilter, read_files
from orchestrator.app.running import App
from orchestrator.app.state import StateFile, opened
from orchestrator.app.telling import Told
from orchestrator.app.working import Log

__all__ = [
    "Agenda",
    "Aim",
    "App",
    "Deciding",
    "Log",
    "ShapeFilter",
    "StateFile",
    "Told",
    "opened",
    "read_files",
]
