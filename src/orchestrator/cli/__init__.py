"""The command line: one module per noun (`docs/reference/cli.md`).

stdout is data, stderr is talk. Modules import click and the standard library; whatever is heavier waits
inside the command that needs it, so that help and completion are quick.
"""
