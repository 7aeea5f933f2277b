"""The entry of the command `trimtab` and of `python -m pipeline`; nothing else belongs here."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, and end the process with its exit code (see `pipeline.cli.main`)."""
    # Imported late, so that `python -m pipeline` of a broken installation can still say what is broken.
    from pipeline.cli.main import run  # noqa: PLC0415

    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = 141
        except OSError as e:
            print(f"error: the output could not be written: {e.strerror}", file=sys.stderr)
            code = code or 1
    # Not sys.exit: threads that wait for a server die with the process, and one that writes a log line just when the
    # interpreter takes itself down makes it abort (SIGABRT, "could not acquire lock for <stderr>").
    os._exit(code)


if __name__ == "__main__":
    main()
