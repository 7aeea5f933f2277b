"""All objects of an installation, in the order in which they are made."""

from typing import Any

from pipeline.install.options import InstallOptions
from pipeline.install.program import deployment, service
from pipeline.install.rights import account, cluster_admin
from pipeline.install.schema import crd


def install_objects(options: InstallOptions) -> list[dict[str, Any]]:
    """The objects. Namespace and definition come first, so that they also go first where the list is deleted in order.

    The controller then sees that it is being removed, and lets its Apps go before its Pod is stopped.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": options.metadata(options.namespace)}
    return [
        namespace,
        crd(),
        *account(options),
        *([cluster_admin(options)] if options.cluster_admin else []),
        deployment(options),
        service(options),
    ]
