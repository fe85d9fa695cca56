"""Two checkouts of the product in turn, with a raw echo beside them: what a change has won.

    git clone . ../before && (cd ../before && git checkout COMMIT)
    python -m benchmarks.versus ../before [--rounds 12] [--orchestrated] [--canned]

Prints the CPU time of a notification before and here, and the median of the ratios of the pairs. With
`--canned`, the second server is this checkout with a canned verdict in place of screening.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import policies
from benchmarks.accept import Subject, in_turn, unfinished, until, warm
from benchmarks.model import Task, ratios
from benchmarks.process import Server, started

_HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--orchestrated", action="store_true", help="count until all is processed")
    parser.add_argument("--canned", action="store_true", help="a canned verdict here")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"))
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.cache, prefix="versus-") as folder:
        task = Task(
            mode="default", rounds=asked.rounds, seconds=1.0, folder=Path(folder).resolve(), cache=asked.cache
        )
        hooks = [] if asked.orchestrated else ["--quiet"]
        canned = ["--canned"] if asked.canned else []
        echo = Subject(
            server=Server(module="benchmarks.echo", words=(), folder=task.folder / "echo"), keeps=False
        )
        before = Subject(server=_server(task, asked.before.resolve(), "before", hooks))
        here = Subject(server=_server(task, _HERE, "here", [*hooks, *canned]))
        before.processes = here.processes = asked.orchestrated
        subjects = [echo, before, here]
        with started(*(subject.server for subject in subjects)):
            for subject in subjects:
                warm(subject.server, task)
            until(lambda: not any(unfinished(s.server) for s in subjects if s.processes), "warming up")
            in_turn(subjects, task)
    print(f"echo {median(echo.micro):.0f} µs, before {before.told}, here {here.told}")
    print(f"CPU here ÷ before {median(ratios(here.micro, before.micro)):.3f}")
    for name, subject in (("before", before), ("here", here)):
        print(f"CPU of echo ÷ {name} {median(ratios(echo.micro, subject.micro)):.3f}")


def _server(task: Task, source: Path, name: str, hooks: list[str]) -> Server:
    folder = task.folder / name
    words = [*hooks, "serve", "--json", "--database", f"sqlite:///{folder / 'orchestrator.sqlite'}"]
    settings = {"policies.folder": policies.five(task.folder / f"five-{name}", None)}
    return Server(module="benchmarks.launch", words=words, folder=folder, settings=settings, source=source)


if __name__ == "__main__":
    main()
