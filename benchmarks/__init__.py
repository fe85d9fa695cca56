"""What the hot path costs, measured: `python -m benchmarks` (`docs/explanation/performance.md`)."""
