"""Screening: at once where that takes a bounded time, else in worker processes that can be killed."""

from orchestrator.screener.direct import DirectScreener
from orchestrator.screener.listings import ListingReader
from orchestrator.screener.pool import Rulebook, ScreenerSettings, ScreeningPool

__all__ = ["DirectScreener", "ListingReader", "Rulebook", "ScreenerSettings", "ScreeningPool"]
