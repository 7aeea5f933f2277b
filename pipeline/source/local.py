"""A folder of the person's own as a checkout: what the command line renders when it is given a path."""

from contextlib import suppress
from pathlib import Path

from pipeline.errors import InputError
from pipeline.location import redacted
from pipeline.source.checkout import Checkout
from pipeline.source.command import GitFailed, run_git
from renderers.boundary import real
from renderers.tree import boundary_of


def local_checkout(path: Path) -> Checkout:
    """The folder as it is, with what is not committed. Nothing in it is written.

    In a git repository the checkout is the whole of it, with the commit that HEAD is at and the URL of `origin`;
    both are empty where git does not say. Raises InputError when the path is no folder.
    """
    if not path.exists():
        raise InputError(f"the folder {path} does not exist", hint="give a folder; where you are is `.`")
    if not path.is_dir():
        raise InputError(f"{path} is no folder", hint="give the folder that holds it")
    folder, root = real(path.absolute()), boundary_of(path)
    git_dir = root / ".git"
    if not git_dir.exists():
        return Checkout(root, folder)
    committed, _, commit = _said(git_dir, "rev-list", "--max-count=1", "--timestamp", "HEAD").partition(" ")
    url = _said(git_dir, "config", "--local", "--get", "remote.origin.url")
    return Checkout(root, folder, commit, redacted(url), committed=float(committed or 0))


def _said(git_dir: Path, *arguments: str) -> str:
    """What git says of the repository; empty when it says nothing, is damaged, or is not installed."""
    with suppress(GitFailed, InputError):
        return run_git(*arguments, git_dir=git_dir).decode(errors="replace").strip()
    return ""
