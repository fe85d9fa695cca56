"""The settings: declared, read and checked before anything starts."""

from orchestrator.config.checking import refuse_exposure
from orchestrator.config.loading import Loaded, environment_name, load
from orchestrator.config.settings import Settings, declared

__all__ = ["Loaded", "Settings", "declared", "environment_name", "load", "refuse_exposure"]
