"""The command `trimtab`: collects the commands, and turns every error into one message and an exit code."""

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from pipeline.cli import (
    adopt,
    apply,
    approve,
    delete,
    diff,
    doctor,
    events,
    history,
    identity,
    install,
    rename,
    render,
    resume,
    rollback,
    status,
    suspend,
    sync,
    uninstall,
    version,
)
from pipeline.cli import run as run_command
from pipeline.cli.output import error_text, warn
from pipeline.errors import InputError, TrimtabError

_HELP = """Keeps a Kubernetes cluster on the course that git sets: renders first, then applies.

Exit codes: 0 done; 1 failed (diff: differs); 2 bad usage or input, nothing changed (diff: any error); 3 held, approval
needed; 4 some objects failed, others were applied; 5 cluster, source or controller out of reach; 130 interrupted.
"""


def program() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name="trimtab", help=_HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    commands = (
        render, diff, apply, adopt, run_command, sync, status, history, events, suspend, resume, rollback, approve,
        rename, delete,
        identity, install, uninstall, doctor, version,
    )  # fmt: skip
    for module in commands:
        module.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments (without the program's name); returns the exit code."""
    command = typer.main.get_command(program())
    try:
        result = command.main(args=list(arguments), prog_name="trimtab", standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        warn("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read standard output has gone (`| head`); nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except TrimtabError as error:
        warn(error_text(error))
        return error.exit_code
    except Exception as error:
        # Nothing that a user gives should come here; when it does, the last line of defence is still one message.
        if os.environ.get("TRIMTAB_DEBUG"):
            raise
        warn(
            f"error: a defect in trimtab: {type(error).__name__}: {error}\n"
            "  → please report it with the output of the same command under TRIMTAB_DEBUG=1"
        )
        return 1
    return result if isinstance(result, int) else 0


def _usage(error: TyperException) -> int:
    """What is wrong with the command line, as any other error; without any argument the help was printed already."""
    message = error.format_message()
    if message:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "trimtab"
        warn(error_text(InputError(message, hint=f"see {path} --help")))
    return InputError.exit_code if message else 0
