"""The entry of the command `trimtab` and of `python -m pipeline`; nothing else belongs here."""

import sys


def main() -> int:
    """Run the command line; returns the exit code (see `pipeline.cli.main`)."""
    # Imported late, so that `python -m pipeline` of a broken installation can still say what is broken.
    from pipeline.cli.main import run  # noqa: PLC0415

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
