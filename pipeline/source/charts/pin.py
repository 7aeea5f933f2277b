"""Pin: one version of a chart, resolved."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a chart, by its content.

    `version` is as the repository writes it (`1.2.3+build`, `v1.2.3`). `digest` is `sha256:` and 64 hex digits of the
    packaged chart, the `.tgz` itself: the same in a chart repository and, as the chart's layer, in a registry, so it
    is another one than that of the registry's manifest. `url` says where the package lies, without credentials;
    only `digest` decides what is taken from there.
    """

    name: str
    version: str
    digest: str
    url: str
