"""Run the command line: ``python -m flowmine``."""

from flowmine.cli import main

if __name__ == "__main__":
    main()
