"""Run the command line: ``python -m flowmine``."""

from flowmine.arrow import for_commands
from flowmine.cli import main

__all__ = ["run"]


def run() -> None:
    """Run the command line as a process of its own."""
    for_commands()
    main()


if __name__ == "__main__":
    run()
