"""The CustomResourceDefinition of the App, made from the structs of `pipeline.app`, and the rules that no type says.

What the API server can refuse is refused at `kubectl apply`; the controller holds the same rules for Apps that come
another way (`pipeline.app.rules`). Rules in CEL walk only what has a limit, or the API server finds them too costly.
"""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.app.model import Spec
from pipeline.app.status import Status
from pipeline.control.resource import APPS, CRD_NAME
from pipeline.install.structural import Schema, structural
from renderers.settings import STEP_FIELDS

# The forms of `pipeline.location`, for RE2, which knows no look-ahead.
_HOST = r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_PORT = r"(:[0-9]{1,5})?"
_PATH = r"[^\s\x00-\x1f\x7f?#]"
_URL = "|".join(
    [
        rf"https://{_HOST}{_PORT}/{_PATH}+",
        rf"ssh://({_USER}@)?{_HOST}{_PORT}/{_PATH}+",
        rf"{_USER}@{_HOST}:[^\s\x00-\x1f\x7f?#:-]{_PATH}*",
        r"(file://)?/[^\x00-\x1f\x7f]+",
    ]
)
_WITH_CREDENTIALS = r"^https?://[^/]*@|^[a-z+]+://[^/@]*:[^/]*@|^[^/@:]+:[^/@]*@|^https?:.*[?#]"
_NO_CREDENTIALS = "carries credentials or a query: take them out, and give an SSH key or a token by source.secretRef"
_DURATION = r"^([0-9]{1,9}([.][0-9]{1,9})?(ms|s|m|h))+$"
_NAMESPACE = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"


def _duration(at_least: str, message: str) -> Mapping[str, Any]:
    return {
        "maxLength": 32,
        "x-kubernetes-validations": [
            _rule(f"self.matches(r'{_DURATION}')", "is no duration: write a number with a unit, as 30s, 5m or 1h30m"),
            _rule(
                f"!self.matches(r'{_DURATION}') || "
                f"(duration(self) >= duration('{at_least}') && duration(self) <= duration('8784h'))",
                message,
            ),
        ],
    }


def _rule(rule: str, message: str, field: str = "") -> Schema:
    """`field` (as `.url`): the rule stands at the part above and speaks of that field."""
    return {"rule": rule, "message": message, **({"fieldPath": field} if field else {})}


_GIT: Final[Mapping[str, Mapping[str, Any]]] = {
    ".git": {
        "x-kubernetes-validations": [
            _rule(
                "[has(self.branch) && self.branch != '', has(self.tag) && self.tag != '', "
                "has(self.semver) && self.semver != '', has(self.commit) && self.commit != '']"
                ".filter(given, given).size() <= 1",
                "choose one of branch, tag, semver and commit",
            ),
            # Here and not at the field itself: the API server would repeat the value, with the password in it.
            _rule(f"!self.url.matches(r'{_WITH_CREDENTIALS}')", _NO_CREDENTIALS, ".url"),
            _rule(
                f"self.url.matches(r'^({_URL})$')",
                "is of no form that is allowed: use https://host/path, ssh://git@host/path or git@host:path",
                ".url",
            ),
        ]
    },
    ".git.branch": {"maxLength": 255},
    ".git.tag": {"maxLength": 255},
    ".git.semver": {"maxLength": 255},
    ".git.commit": {
        "maxLength": 64,
        "x-kubernetes-validations": [
            _rule(
                "self.matches(r'^([0-9a-f]{40}|[0-9a-f]{64})?$')",
                "is no full commit id: write all 40 digits, as `git rev-parse` prints them",
            )
        ],
    },
    ".git.path": {
        "maxLength": 1024,
        "x-kubernetes-validations": [
            _rule(
                r"!self.startsWith('/') && !self.matches(r'(^|/)[.][.](/|$)|[\x00-\x1f\x7f]')",
                "does not lie in the repository: write it relative to the repository's root, without ..",
            )
        ],
    },
}
#: What of a chart is given, as CEL sees it.
_REPO, _NAME, _OCI = (f"has(self.{field}) && self.{field} != ''" for field in ("repo", "name", "oci"))
_CHART: Final[Mapping[str, Mapping[str, Any]]] = {
    ".chart": {
        "x-kubernetes-validations": [
            _rule(
                f"({_OCI}) != ({_REPO} || {_NAME}) && ({_REPO}) == ({_NAME})",
                "name a chart in one of two ways: repo and name, or oci",
            ),
            _rule(f"!({_REPO}) || !self.repo.matches(r'{_WITH_CREDENTIALS}')", _NO_CREDENTIALS, ".repo"),
            _rule(f"!({_OCI}) || !self.oci.matches(r'{_WITH_CREDENTIALS}')", _NO_CREDENTIALS, ".oci"),
            _rule(
                f"!({_REPO}) || self.repo.matches(r'^https?://{_HOST}{_PORT}(/{_PATH}+)?$')",
                "is of no form that is allowed: use https://host/path",
                ".repo",
            ),
            _rule(
                f"!({_OCI}) || self.oci.matches(r'^oci://{_HOST}{_PORT}/{_PATH}+$')",
                "is of no form that is allowed: use oci://host/path/name",
                ".oci",
            ),
        ]
    },
    ".chart.name": {"pattern": r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$"},
    ".chart.version": {"maxLength": 255},
}


def _source(place: str) -> dict[str, Mapping[str, Any]]:
    """The rules of a source that stands there."""
    one = _rule("has(self.git) != has(self.chart)", "name exactly one of git and chart")
    parts = {f"{place}{field}": rules for field, rules in (*_GIT.items(), *_CHART.items())}
    return {place: {"x-kubernetes-validations": [one]}, **parts}


#: A list of beginnings of URLs; the rule stands at the list for the reason that is given above.
_ALLOW_REMOTE: Final[Mapping[str, Any]] = {
    "maxItems": 32,
    "x-kubernetes-validations": [
        _rule(f"!self.exists(url, url.matches(r'{_WITH_CREDENTIALS}'))", f"an entry {_NO_CREDENTIALS}")
    ],
}

_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "spec": {"required": ["source"]},
    **_source("spec.source"),
    **_source("spec.sources[]"),
    "spec.sources": {"maxItems": 8, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    "spec.render": {"maxItems": 16},
    "spec.render[]": {
        "x-kubernetes-validations": [
            _rule(
                f"[{', '.join(f'has(self.{field})' for field in STEP_FIELDS)}].filter(given, given).size() == 1",
                f"a render step names exactly one of {', '.join(STEP_FIELDS)}",
            )
        ]
    },
    "spec.render[].helm.allowRemote": _ALLOW_REMOTE,
    "spec.render[].helm.allowRemote[]": {"maxLength": 512},
    "spec.render[].kustomize.allowRemote": _ALLOW_REMOTE,
    "spec.render[].kustomize.allowRemote[]": {"maxLength": 512},
    "spec.interval": _duration("100ms", "must be at least 100ms and at most a year"),
    "spec.wait.timeout": _duration("0s", "must be at most a year"),
    "spec.dependsOn": {"maxItems": 100},
    "spec.dependsOn[].namespace": {"maxLength": 63, "pattern": _NAMESPACE},
    "status.conditions": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
}

_ON_THE_WHOLE = [
    # Names become parts of labels and of other objects' names; the API server itself allows dots here.
    _rule(
        "!self.metadata.name.contains('.')",
        "is no DNS label: an App's name has lower-case letters, digits and dashes, at most 63",
        ".metadata.name",
    ),
    # A rule sees no metadata but the name: the same with its own namespace written out is refused by the controller.
    _rule(
        "!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(app, "
        "app.name == self.metadata.name && (!has(app.namespace) || app.namespace == ''))",
        "names the App itself: take it out",
        ".spec.dependsOn",
    ),
]

_COLUMNS = [
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Commit", "string", ".status.shortCommit", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Ref", "string", ".status.ref", 1),
    ("Suspended", "boolean", ".spec.suspend", 1),
    ("Objects", "integer", ".status.objects", 1),
]


def app_schema() -> Schema:
    """The schema of an App resource: everything that may stand in one, with its description."""
    return {
        "description": "One thing that Trimtab keeps in sync: a source, how to render it, where it goes.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {APPS.api_version}."},
            "kind": {"type": "string", "description": f"Always {APPS.kind}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}},
            "spec": structural(Spec, "spec", _RULES),
            "status": structural(Status, "status", _RULES, defaults=False),
        },
        "x-kubernetes-validations": _ON_THE_WHOLE,
    }


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition `apps.trimtab.dev`, ready to be applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": CRD_NAME,
            "labels": {"app.kubernetes.io/name": "trimtab", "app.kubernetes.io/part-of": "trimtab"},
        },
        "spec": {
            "group": APPS.group,
            "scope": "Namespaced",
            "names": {
                "kind": APPS.kind,
                "listKind": "AppList",
                "plural": APPS.plural,
                "singular": "app",
                "categories": ["trimtab"],
            },
            "versions": [
                {
                    "name": APPS.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, **({"priority": rank} if rank else {})}
                        for name, kind, path, rank in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": app_schema()},
                }
            ],
        },
    }
