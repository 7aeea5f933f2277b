"""Whether `pipeline` and `renderers` are ours: both names also exist on the package index as other people's."""

from importlib.metadata import packages_distributions

from pipeline.errors import InputError

_DISTRIBUTION = "trimtab"


def check_packages() -> None:
    """Raise InputError when another distribution is installed over one of our two packages."""
    owners = packages_distributions()
    for package in ("pipeline", "renderers"):
        others = sorted(set(owners.get(package, ())) - {_DISTRIBUTION})
        if others:
            raise InputError(
                f"the package {package} is also installed by {', '.join(others)}, so this is a mix of two programs",
                hint=f"pip uninstall {' '.join(others)}, then install trimtab again, best in an environment of its own",
            )
