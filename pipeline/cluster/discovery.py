"""Which kinds a cluster serves, and under which paths. Asks the API server, never a table in the code."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError

#: Aggregated discovery (KEP-3352), its beta form, and what a server that knows neither answers.
_AGGREGATED = ",".join(
    [f"application/json;g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList" for v in ("v2", "v2beta1")]
    + ["application/json"]
)
#: What every custom resource can do.
_CUSTOM_VERBS = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, as the API server serves it. `group` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """The escaped path of one object, of a namespace's objects, or of all where no namespace is given.

        Raises ApiError, as the API server would, for a name that would lead elsewhere.
        """
        root = f"/apis/{self.group}" if self.group else "/api"
        space = f"/namespaces/{_segment(namespace)}" if self.namespaced and namespace else ""
        return f"{root}/{self.version}{space}/{self.plural}" + (f"/{_segment(name)}" if name else "")


#: What every cluster serves, and custom resources come from.
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
    namespaced=False, verbs=_CUSTOM_VERBS,
)  # fmt: skip


class Discovery:
    """The kinds of one cluster at one time. Immutable.

    `stale` are group/versions whose kinds are not known now, because the server behind an APIService does not
    answer: what is not found in them may exist.
    """

    def __init__(self, served: Iterable[Resource], *, stale: Iterable[str] = ()) -> None:
        """`served` in the cluster's order of preference: of one kind, the preferred version first."""
        self._by_kind: dict[tuple[str, str], list[Resource]] = {}
        self._versions: set[tuple[str, str]] = set()
        for resource in served:
            versions = self._by_kind.setdefault((resource.group, resource.kind), [])
            same = next((known for known in versions if known.version == resource.version), None)
            if same is None:
                versions.append(resource)
            elif "list" in resource.verbs and "list" not in same.verbs:
                # OpenShift has two resources of the kind Template: what is stored, and one that only answers.
                versions[versions.index(same)] = resource
            self._versions.add((resource.group, resource.version))
        self.stale = frozenset(stale)

    @classmethod
    def load(cls, connection: Connection, *, aggregated: bool = True) -> Self:
        """Two requests; one more for each group and version where the server has no aggregated discovery.

        `aggregated=False` asks in the old form. Raises ApiError, ClusterUnreachableError.
        """
        accept = _AGGREGATED if aggregated else "application/json"
        served: list[Resource] = []
        stale: list[str] = []
        old: list[tuple[str, str]] = []
        for path in ("/api", "/apis"):
            answer = connection.call("GET", path, accept=accept)
            if answer.get("kind") == "APIGroupDiscoveryList":
                for group, found in _group_versions(answer):
                    served += _aggregated(group, found)
                    if found.get("freshness") == "Stale":
                        stale.append(f"{group}/{found['version']}")
            else:
                old += _old_group_versions(answer)
        with ThreadPoolExecutor(max_workers=8) as threads:
            for (group, version), kinds in zip(old, threads.map(lambda gv: _old(connection, *gv), old), strict=True):
                served += kinds or ()
                if kinds is None:
                    stale.append(f"{group}/{version}")
        return cls(served, stale=stale)

    def find(self, kind: str, group: str, version: str = "") -> Resource | None:
        """The kind in that version if it is served, else in the preferred one; None for an unknown kind."""
        versions = self._by_kind.get((group, kind))
        if not versions:
            return None
        return next((resource for resource in versions if resource.version == version), versions[0])

    def served(self, group: str, version: str) -> bool:
        """Whether the group is served in that version."""
        return (group, version) in self._versions

    def resources(self) -> tuple[Resource, ...]:
        """Every kind once, in its preferred version."""
        return tuple(versions[0] for versions in self._by_kind.values())

    def api_versions(self) -> tuple[str, ...]:
        """Helm's `.Capabilities.APIVersions`: `v1`, `apps/v1`, `apps/v1/Deployment`, …, sorted."""
        groups = {f"{group}/{version}" if group else version for group, version in self._versions}
        kinds = {f"{item.api_version}/{item.kind}" for versions in self._by_kind.values() for item in versions}
        return tuple(sorted(groups | kinds))

    def with_crds(self, crds: Iterable[Mapping[str, Any]]) -> "Discovery":
        """What would be known once these CustomResourceDefinitions were applied. Pure.

        A manifest that is no whole CRD adds nothing: the API server says what is wrong with it.
        """
        known = [resource for versions in self._by_kind.values() for resource in versions]
        return Discovery([*known, *(item for crd in crds for item in _of_crd(crd))], stale=self.stale)


def server_version(connection: Connection) -> str:
    """The API server's version, such as `v1.36.3`."""
    return str(connection.call("GET", "/version").get("gitVersion", ""))


def _segment(text: str) -> str:
    if text in (".", "..") or "/" in text:
        raise ApiError(422, f"{text!r} cannot be the name of an object: it may not be '.', '..' or hold '/'")
    return quote(text, safe=":")


def _group_versions(answer: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in answer.get("items") or ():
        for version in item.get("versions") or ():
            yield (item.get("metadata") or {}).get("name", ""), version


def _aggregated(group: str, version: Mapping[str, Any]) -> Iterator[Resource]:
    for item in version.get("resources") or ():
        kind = (item.get("responseKind") or {}).get("kind")
        if kind:
            verbs = frozenset(item.get("verbs") or ())
            yield Resource(group, version["version"], kind, item["resource"], item["scope"] == "Namespaced", verbs)


def _old_group_versions(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """From APIVersions (the core group) or APIGroupList, the preferred version of a group first."""
    for version in answer.get("versions") or ():
        yield "", version
    for group in answer.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = [item["version"] for item in group.get("versions") or ()]
        for version in sorted(versions, key=lambda name: name != preferred):
            yield group["name"], version


def _old(connection: Connection, group: str, version: str) -> list[Resource] | None:
    """The kinds of one group and version; None where the server behind it does not answer."""
    try:
        answer = connection.call("GET", f"/apis/{group}/{version}" if group else f"/api/{version}")
    except ApiError as error:
        if error.not_found or error.temporary:
            return None
        raise
    return [
        Resource(group, version, item["kind"], item["name"], bool(item["namespaced"]), frozenset(item["verbs"]))
        for item in answer.get("resources") or ()
        if "/" not in item["name"]
    ]


def _of_crd(crd: Mapping[str, Any]) -> Iterator[Resource]:
    try:
        spec = crd["spec"]
        kind, plural, namespaced = (
            spec["names"]["kind"],
            spec["names"]["plural"],
            spec["scope"] == "Namespaced",
        )
        versions = [version["name"] for version in spec["versions"] if version["served"]]
        if all(isinstance(text, str) for text in (spec["group"], kind, plural, *versions)):
            for version in versions:
                yield Resource(spec["group"], version, kind, plural, namespaced, _CUSTOM_VERBS)
    except (KeyError, TypeError):
        return
