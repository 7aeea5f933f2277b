"""Every field of a kustomization that takes a path, with a good file for each; what hostile references look like."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Any

from renderers.api import KustomizeOptions, Rendered, RenderRequest
from renderers.kustomize import build
from renderers.manifest.load import load_text
from renderers.unit import render_unit

WITH_HELM = KustomizeOptions(enable_helm=True)


def rendered(request: RenderRequest) -> Rendered:
    """The unit as a controller renders it: from a private copy of its inputs."""
    return render_unit(build, request)


def data(rendered: Rendered) -> list[Any]:
    """The objects of a render."""
    return [manifest.data for manifest in rendered.manifests]


def built(folder: Path, *options: str) -> list[Any]:
    """What kustomize itself prints, as objects."""
    done = subprocess.run(["kustomize", "build", *options, str(folder)], check=True, capture_output=True, timeout=60)
    return [document.data for document in load_text(done.stdout, file="kustomize").documents]


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: {a: b}\n"
_MORE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: {more: c}\n"
_OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"
_JSON_PATCH = '[{"op": "add", "path": "/data/more", "value": "c"}]\n'
_REPLACEMENT = """\
source: {kind: ConfigMap, name: it, fieldPath: metadata.name}
targets: [{select: {kind: ConfigMap}, fieldPaths: [data.a]}]
"""
_SCHEMA = """\
{"definitions": {"it": {
  "properties": {"list": {"type": "array", "items": {"type": "object"},
    "x-kubernetes-patch-merge-key": "key", "x-kubernetes-patch-strategy": "merge"}},
  "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "It", "version": "v1"}]}}}
"""
_WITH_LIST = "apiVersion: example.com/v1\nkind: It\nmetadata: {name: list}\nlist: [{key: a}]\n"
_CRD = '{"example.com/v1.It": {"Schema": {"properties": {"spec": {}}}}}\n'
_SUFFIX = """\
apiVersion: builtin
kind: SuffixTransformer
metadata: {name: it}
suffix: -more
fieldSpecs: [{path: metadata/name}]
"""
_GENERATED = "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\nliterals: [a=b]\n"
_SAME = "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: it}\nannotations: {}\n"

CHART = {
    "charts/it/Chart.yaml": "apiVersion: v2\nname: it\nversion: 0.1.0\n",
    "charts/it/values.yaml": "more: a\n",
    "charts/it/templates/it.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-chart}\ndata: {more: {{ .Values.more | quote }}}\n"
    ),
}


@dataclass(frozen=True)
class PathField:
    """One field that takes a path: a kustomization with REF where the path stands, and its name in messages.

    `good` are files beside the kustomization, `ref` the one (or the folder) to refer to. `helm` is whether helm has
    to be allowed.
    """

    text: str
    name: str
    good: str = ""
    ref: str = "good.yaml"
    files: Mapping[str, str] = field(default_factory=dict)
    helm: bool = False

    def __str__(self) -> str:
        return self.name

    def kustomization(self, reference: str) -> str:
        """The kustomization with that reference."""
        resources = "" if self.text.lower().startswith("resources") else "resources: [it.yaml]\n"
        return f"{resources}{self.text.replace('REF', reference)}\n"

    def laid_out(self) -> dict[str, str]:
        """All files, with the good reference."""
        good = {self.ref if "." in self.ref else f"{self.ref}/kustomization.yaml": self.good}
        return {"it.yaml": CONFIG_MAP, **self.files, **good, "kustomization.yaml": self.kustomization(self.ref)}


_BASE = "configMapGenerator: [{name: made, literals: [a=b]}]\n"
_COMPONENT = f"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{_BASE}"

FIELDS = (
    PathField("resources: [it.yaml, REF]", "resources[1]", _OTHER),
    PathField("Resources: [REF]", "Resources[0]", _OTHER),
    PathField("resources: [it.yaml, REF]", "resources[1]", _BASE, "folder"),
    PathField("bases: [REF]", "bases[0]", _BASE, "folder"),
    PathField("components: [REF]", "components[0]", _COMPONENT, "folder"),
    PathField("crds: [REF]", "crds[0]", _CRD),
    PathField("configurations: [REF]\nnamePrefix: x-", "configurations[0]", "namePrefix: [{path: data/a}]\n"),
    PathField(
        "openapi: {path: REF}\npatches: [{path: list.yaml}]",
        "openapi.path",
        _SCHEMA,
        files={"it.yaml": _WITH_LIST, "list.yaml": _WITH_LIST.replace("a}", "b}")},
    ),
    PathField("patches: [{path: REF}]", "patches[0].path", _MORE),
    PathField("patches: [{PATH: REF}]", "patches[0].PATH", _MORE),
    PathField("patches: [{path: REF, target: {kind: ConfigMap}}]", "patches[0].path", _JSON_PATCH),
    PathField("patchesStrategicMerge: [REF]", "patchesStrategicMerge[0]", _MORE),
    PathField(
        "patchesJson6902: [{path: REF, target: {version: v1, kind: ConfigMap, name: it}}]",
        "patchesJson6902[0].path",
        _JSON_PATCH,
    ),
    PathField("replacements: [{path: REF}]", "replacements[0].path", _REPLACEMENT),
    *(
        PathField(f"{kind}: [{{name: made, {text}}}]", f"{kind}[0].{name}", "a=b\n", "good.env")
        for kind in ("configMapGenerator", "secretGenerator")
        for text, name in (
            ("files: [REF]", "files[0]"),
            ("files: ['key=REF']", "files[0]"),
            ("envs: [REF]", "envs[0]"),
            ("env: REF", "env"),
        )
    ),
    PathField("generators: [REF]", "generators[0]", _GENERATED),
    PathField("transformers: [REF]", "transformers[0]", _SUFFIX),
    PathField("validators: [REF]", "validators[0]", _SAME),
    PathField(
        "transformers: [REF]",
        "transformers[0]",
        "resources: [suffix.yaml]\n",
        "folder",
        {"folder/suffix.yaml": _SUFFIX},
    ),
    PathField(
        "helmCharts: [{name: it, releaseName: it, valuesFile: REF}]",
        "helmCharts[0].valuesFile",
        "more: b\n",
        files=CHART,
        helm=True,
    ),
    PathField(
        "helmCharts: [{name: it, releaseName: it, additionalValuesFiles: [REF]}]",
        "helmCharts[0].additionalValuesFiles[0]",
        "more: b\n",
        files=CHART,
        helm=True,
    ),
    PathField(
        "helmChartInflationGenerator: [{chartName: it, releaseName: it, values: REF}]",
        "helmCharts[0].valuesFile",
        "more: b\n",
        files=CHART,
        helm=True,
    ),
)


@dataclass(frozen=True)
class PluginField:
    """The same for the configuration of a built-in plug-in of that kind."""

    kind: str
    text: str
    name: str
    good: str
    ref: str = "good.yaml"
    generates: bool = False
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"

    @property
    def helm(self) -> bool:
        """Whether helm has to be allowed."""
        return self.kind.startswith("Helm")

    def plugin(self, reference: str) -> str:
        """The configuration with that reference."""
        text = self.text.replace("REF", reference)
        return f"apiVersion: builtin\nkind: {self.kind}\nmetadata: {{name: plugin}}\n{text}\n"

    def laid_out(self, reference: str, form: str) -> dict[str, str]:
        """A kustomization that uses it as a `file`, `inline`, in a `list`, or made by another one in a `folder`."""
        plugin = self.plugin(reference)
        if form == "list":
            plugin = f"apiVersion: v1\nkind: List\nitems:\n-\n{indent(plugin, '  ')}"
        entry = {"inline": f"- |\n{indent(plugin, '  ')}", "folder": "- plugins"}.get(form, "- plugin.yaml")
        field = "generators" if self.generates else "transformers"
        return {
            "kustomization.yaml": f"resources: [it.yaml]\n{field}:\n{entry}\n",
            "it.yaml": CONFIG_MAP,
            **({"plugins/kustomization.yaml": "resources: [plugin.yaml]\n"} if form == "folder" else {}),
            **({} if form == "inline" else {"plugins/plugin.yaml" if form == "folder" else "plugin.yaml": plugin}),
            **self.files,
            self.ref: self.good,
        }


_TARGET = "target: {version: v1, kind: ConfigMap, name: it}"
PLUGIN_FIELDS = (
    PluginField("PatchTransformer", "path: REF", "path", _MORE),
    PluginField("PatchTransformer", f"PATH: REF\n{_TARGET}", "PATH", _JSON_PATCH),
    PluginField("PatchJson6902Transformer", f"path: REF\n{_TARGET}", "path", _JSON_PATCH),
    PluginField("PatchStrategicMergeTransformer", "paths: [REF]", "paths[0]", _MORE),
    PluginField("ReplacementTransformer", "replacements: [{path: REF}]", "replacements[0].path", _REPLACEMENT),
    PluginField(
        "ValueAddTransformer",
        "value: more\ntargetFilePath: REF",
        "targetFilePath",
        "targets: [{selector: {kind: ConfigMap}, fieldPath: data/more}]\n",
    ),
    *(
        PluginField(kind, text, name, "a=b\n", "good.env", generates=True)
        for kind in ("ConfigMapGenerator", "SecretGenerator")
        for text, name in (
            ("files: [REF]", "files[0]"),
            ("files: ['key=REF']", "files[0]"),
            ("envs: [REF]", "envs[0]"),
        )
    ),
    PluginField(
        "HelmChartInflationGenerator",
        "name: it\nreleaseName: it\nvaluesFile: REF",
        "valuesFile",
        "more: b\n",
        generates=True,
        files=CHART,
    ),
    PluginField(
        "HelmChartInflationGenerator",
        "name: it\nreleaseName: it\nadditionalValuesFiles: [REF]",
        "additionalValuesFiles[0]",
        "more: b\n",
        generates=True,
        files=CHART,
    ),
)
FORMS = ("file", "inline", "list", "folder")

#: References that must not be followed, and what is said of each. `link` and `linked` lead out of the checkout.
HOSTILE = (
    ("/var/run/secrets/kubernetes.io/serviceaccount/token", "is an absolute path"),
    ("/proc/self/environ", "is an absolute path"),
    ("../../../../../../../../../../proc/self/environ", "leads out of the checkout"),
    ("a/../../../../../../../../../../../proc/self/environ", "leads out of the checkout"),
    ("link", "leads out of the checkout"),
    ("./link", "leads out of the checkout"),
    ("linked/token", "leads out of the checkout"),
    ("https://example.com/it.yaml", "remote"),
    ("HTTP:it.yaml", "remote"),
    ("not-there.yaml", "does not exist"),
    ("..%2f..%2fetc%2fpasswd", "does not exist"),
    ("\u2024\u2024/\u2024\u2024/etc/passwd", "does not exist"),
)
