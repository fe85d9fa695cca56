"""The command `orchestrator`, also as `python -m orchestrator`."""

from orchestrator.cli.root import root


def main() -> None:
    """Run the command line."""
    root(prog_name="orchestrator")


if __name__ == "__main__":  # a worker process imports this module under another name
    main()
