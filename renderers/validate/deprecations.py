"""Which API versions Kubernetes has deprecated and removed, and in which release. Facts only.

Source: the `APILifecycleDeprecated` and `APILifecycleRemoved` methods in k8s.io/api 0.36, and for kinds that have left
it since, https://kubernetes.io/docs/reference/using-api/deprecation-guide/. Kinds that only live in requests are not
here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from renderers.manifest import Manifest

Release = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Deprecation:
    """One kind of an API version; `instead` is the `apiVersion` to use, empty where there is none."""

    api_version: str
    kind: str
    deprecated: Release
    removed: Release
    instead: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """A manifest whose API version is deprecated, or gone, in the release that was asked about."""

    manifest: Manifest
    removed: bool
    message: str


#: API version, kinds, minor of 1.x that deprecated it, that removed it, and what to use instead.
_TABLE: tuple[tuple[str, str, int, int, str], ...] = (
    ("extensions/v1beta1", "DaemonSet Deployment ReplicaSet", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "PodSecurityPolicy", 10, 16, ""),
    ("extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1"),
    ("apps/v1beta1", "ControllerRevision Deployment StatefulSet", 8, 16, "apps/v1"),
    ("apps/v1beta2", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet", 9, 16, "apps/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "scheduling.k8s.io/v1"),
    (
        "admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration ValidatingWebhookConfiguration", 16, 22,
        "admissionregistration.k8s.io/v1",
    ),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", 16, 22, "apiextensions.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1alpha1", "ClusterRole ClusterRoleBinding Role RoleBinding", 17, 22,
     "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole ClusterRoleBinding Role RoleBinding", 17, 22,
     "rbac.authorization.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSINode", 17, 22, "storage.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", "APIService", 19, 22, "apiregistration.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 19, 22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease", 19, 22, "coordination.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "Ingress IngressClass", 19, 22, "networking.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIDriver StorageClass VolumeAttachment", 19, 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1alpha1", "CSIStorageCapacity VolumeAttachment", 21, 24, "storage.k8s.io/v1"),
    ("batch/v1beta1", "CronJob", 21, 25, "batch/v1"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 21, 25, "discovery.k8s.io/v1"),
    ("policy/v1beta1", "PodDisruptionBudget", 21, 25, "policy/v1"),
    ("policy/v1beta1", "PodSecurityPolicy", 21, 25, ""),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler", 22, 25, "autoscaling/v2"),
    ("events.k8s.io/v1beta1", "Event", 22, 25, "events.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass", 22, 25, "node.k8s.io/v1"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 23, 26, "autoscaling/v2"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema PriorityLevelConfiguration", 23, 26,
     "flowcontrol.apiserver.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 24, 27, "storage.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema PriorityLevelConfiguration", 26, 29,
     "flowcontrol.apiserver.k8s.io/v1"),
    ("admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 29, 32,
     "admissionregistration.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema PriorityLevelConfiguration", 29, 32,
     "flowcontrol.apiserver.k8s.io/v1"),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 31, 34,
     "admissionregistration.k8s.io/v1"),
    ("storage.k8s.io/v1alpha1", "VolumeAttributesClass", 32, 35, "storage.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "IPAddress ServiceCIDR", 34, 37, "networking.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "VolumeAttributesClass", 34, 37, "storage.k8s.io/v1"),
    ("certificates.k8s.io/v1alpha1", "ClusterTrustBundle", 34, 37, "certificates.k8s.io/v1beta1"),
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", 35, 38,
     "admissionregistration.k8s.io/v1"),
    ("resource.k8s.io/v1beta1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice", 35, 38,
     "resource.k8s.io/v1"),
    ("resource.k8s.io/v1beta2", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice", 36, 39,
     "resource.k8s.io/v1"),
)  # fmt: skip

DEPRECATIONS: tuple[Deprecation, ...] = tuple(
    Deprecation(api_version, kind, (1, deprecated), (1, removed), instead)
    for api_version, kinds, deprecated, removed, instead in _TABLE
    for kind in kinds.split()
)
_BY_KIND = {(entry.api_version, entry.kind): entry for entry in DEPRECATIONS}


def release_of(version: str) -> Release:
    """Major and minor of a Kubernetes version such as `v1.33.2-gke.100` or `1.33`; (0, 0) for what is none."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def outdated(manifests: Iterable[Manifest], version: str) -> Iterator[Outdated]:
    """The manifests whose API versions that Kubernetes version has deprecated or removed, in their order."""
    release = release_of(version)
    for manifest in manifests:
        entry = _BY_KIND.get((str(manifest.data["apiVersion"]), manifest.id.kind))
        if entry is None or release < entry.deprecated:
            continue
        removed = release >= entry.removed
        what = "removed" if removed else "deprecated"
        since = entry.removed if removed else entry.deprecated
        goes = "" if removed else f", goes in {_text(entry.removed)}"
        instead = f": use {entry.instead}" if entry.instead else ": there is nothing instead"
        yield Outdated(
            manifest,
            removed,
            f"{entry.api_version} {entry.kind} is {what} since Kubernetes {_text(since)}{goes}{instead}",
        )


def _text(release: Release) -> str:
    return f"{release[0]}.{release[1]}"
