"""Commands that show by examples how they are used."""

from collections.abc import Sequence
from typing import Any

import click


class Command(click.Command):
    """A command whose help ends with examples, as they are typed."""

    def __init__(self, *given: Any, examples: Sequence[str], **named: Any) -> None:  # noqa: ANN401
        """Take `examples` beside what every command takes."""
        super().__init__(*given, **named)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one a line."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
