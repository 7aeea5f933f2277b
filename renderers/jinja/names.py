"""How templates are called, and how they name each other. Loads nothing of Jinja: every walk asks it."""

import posixpath

from renderers.plain import SUFFIXES

#: How the names of templates end.
TEMPLATES = tuple(f"{suffix}.j2" for suffix in SUFFIXES)


def referred(text: str, parent: str) -> str:
    """The path, relative to the checkout, of a template that `parent` names; one that leads out begins with `..`.

    A name is relative to the template that names it; with a slash before it, to the checkout.
    """
    place = text.lstrip("/") if text.startswith("/") else posixpath.join(posixpath.dirname(parent), text)
    return posixpath.normpath(place)
