"""The parts of the docs that are made from the code: fields of the App, commands with their flags, metrics."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from pipeline.cli.main import program
from pipeline.install.schema import app_schema
from pipeline.observe.metrics import REFERENCE

HEAD = """# The App

An App is one thing to keep in sync: a source, how to render it, where it goes. It is a resource (`kubectl apply`), or a
YAML file of the same shape for `trimtab apply`, `diff` and `render` (`-f app.yaml`; flags win over it, and a folder
beside `-f` takes the place of its source). These are all fields there are, made from the definition in
`deploy/10-crd.yaml` (`pytest tests/test_docs.py --update-docs`); `kubectl explain app.spec` shows the same. An unknown
field is an error.
"""

EXAMPLE = """
## A whole one

What stands here is the default, but for `name`, `url`, `secretRef`, `render`, `healthChecks`,
`adopt.from` and `dependsOn`.

```yaml
apiVersion: trimtab.dev/v1alpha1
kind: App
metadata:
  name: shop                    # a DNS label; the inventory is kept under it
  namespace: trimtab-system     # the App's own namespace, not where its objects go
  labels: {}                    # for people
  annotations: {}
spec:
  source:
    git:
      url: git@example.com:team/shop.git       # https, ssh (user@host:path) or file; no credentials in it
      branch: ""                # one of branch, tag, semver and commit; none: the repository's default branch
      tag: ""
      semver: ""                # the highest tag in a range: ~1.4
      commit: ""                # a full commit id
      path: .                   # the folder in the repository
    # chart:                    # instead of git: a chart of a chart repository, or of a registry
    #   repo: https://charts.example.com
    #   name: shop
    #   oci: oci://registry.example.com/charts/shop      # instead of repo and name
    #   version: ~1.4           # a version or a range; left out: the newest release
    secretRef:
      name: shop-git            # a Secret beside the App; left out: the controller's deploy key
  sources:                      # further ones, for value files
    - name: settings
      git: {url: "https://git.example.com/team/settings.git"}
  decryption:
    secretRef: {name: sops-keys}               # opens files that SOPS encrypted
  render:                       # left out: the folder's files decide. At most one renderer, as the first step
    - helm:
        releaseName: shop       # default: the App's name
        valueFiles: [values-prod.yaml, "settings:shop.yaml"]         # relative to the chart, or to a source
        valuesFrom: [{kind: Secret, name: shop-values, valuesKey: values.yaml, optional: true}]
        values: {replicas: 3}
        set: [image.tag=1.14.2]
        setString: ["build=007"]
        setFile: ["script=files/run.sh"]
        includeCRDs: true
        allowRemote: ["https://charts.example.com/"]                 # dependencies may be fetched from there
    # - kustomize: {enableHelm: false, allowRemote: ["https://github.com/example/"]}
    # - yaml: {recursive: true}
    # - jinja: {valueFiles: [values.yaml], values: {replicas: 3}}
    # - plugin: {name: toml, options: {}}
    - patches:                  # and then what is done to what was rendered, in order
        - target: {kind: Deployment, group: apps, version: v1, name: web, namespace: shop}
          # labelSelector: app=web, annotationSelector: a=b
          patch: "[{op: replace, path: /spec/replicas, value: 3}]"
    - images: [{name: nginx, newName: registry.example.com/nginx, newTag: 1.14.2}]                # or digest: sha256:…
    - labels: [{pairs: {team: shop}, includeSelectors: false, includeTemplates: true}]
    - annotations: {example.com/owner: shop}
    # - namespace: shop
    # - namePrefix: team-a-
    # - nameSuffix: -blue
    - substitute:
        vars: {DOMAIN: shop.example.com}
        from: [{kind: ConfigMap, name: cluster, optional: true}]
  target:
    namespace: default          # of objects that name none; Helm's release namespace
    createNamespace: false
  interval: 5m                  # how often git is asked, and the cluster compared (trimtab run: --git-poll-interval)
  prune:
    enabled: true
    after: healthy              # or applied: before the wait for health
    adopted: false              # true: objects that existed before the App are deleted too when they leave git
    allowEmpty: false           # true: the whole App may come to nothing
    guard:                      # a prune of more than 50 % and of at least 10 objects waits for approval
      percent: 50
      atLeast: 10
  wait:
    enabled: true
    timeout: 5m
  conflicts: take               # fields that somebody else set: take, yield or fail
  recreate: never               # allowed: delete and create again where git changes an immutable field
  healthChecks:                 # what ready means for a kind that does not say it as Kubernetes' conventions have it
    - apiVersion: example.com/v1
      kind: Backup
      ready: {jsonPath: "{.status.phase}", values: [Done]}
      failed: {jsonPath: "{.status.phase}", values: [Broken]}
  adopt:
    from: [helm]                # helm, argocd, flux, kapp, kluctl: whose objects may be taken over
  dependsOn:
    - name: database            # an App that must be ready first
      namespace: trimtab-system # default: this App's own
  deletionPolicy: prune         # or release: its objects live on when the App is deleted
  suspend: false                # true: nothing is done until it is false again
```
"""


COMMANDS_HEAD = """# Commands

Every command and every flag, made from the program's own help (`pytest tests/test_docs.py --update-docs`).

Data goes to standard output, everything else to standard error; what `-o json` prints is a promise
([json.md](json.md)). An argument that is a folder is a path; anything else is an App's name. `--namespace` is the
target namespace for folders, the App's own namespace for Apps. `trimtab --install-completion` adds completion to your
shell.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; `diff`: something differs |
| 2 | bad usage or input, nothing was changed; `diff`: any error |
| 3 | held: approval is needed |
| 4 | some objects failed, others were applied |
| 5 | the cluster, the source or the controller is out of reach |
| 130 | interrupted |
"""
#: What is made stands between two such lines of a page; everything else there is written by hand.
_MADE = re.compile(r"(<!-- made: (?P<name>\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def with_made_parts(page: str) -> str:
    """A page with what is made in it made anew."""
    makers = {"metrics": metrics_table}
    return _MADE.sub(lambda found: f"{found[1]}{makers[found['name']]()}{found[3]}", page)


def metrics_table() -> str:
    """All metrics, as Markdown."""
    rows = [f"| `{m.name}` | {m.kind} | {', '.join(map(_code, m.labels))} | {m.help} |" for m in REFERENCE]
    return _lines(("metric", "type", "labels", ""), rows)


def flags_of_commands() -> dict[str, set[str]]:
    """The flags of each command."""
    return {name: {flag for p in c.params for flag in (*p.opts, *p.secondary_opts)} for name, c in _commands()}


def commands_reference() -> str:
    """The whole of docs/commands.md."""
    parts = [COMMANDS_HEAD]
    for name, command in _commands():
        arguments = [p.name.upper() for p in command.params if p.param_type_name == "argument"]
        parts.append(f"\n## trimtab {' '.join([name, *arguments])}\n\n{(command.help or '').strip()}\n")
        rows = [_flag(parameter) for parameter in command.params if parameter.param_type_name == "option"]
        if rows:
            parts.append("\n" + _lines(("flag", "what it does", "default"), rows))
    return "".join(parts)


def _commands() -> list[tuple[str, Any]]:
    return sorted(typer.main.get_command(program()).commands.items())  # type: ignore[attr-defined]


def _flag(option: Any) -> str:
    default = option.default
    if option.is_flag and option.secondary_opts:
        shown = _code(option.opts[0] if default else option.secondary_opts[0])
    else:
        shown = _code(str(getattr(default, "value", default))) if default not in (None, "", False, ()) else ""
    flags = ", ".join(map(_code, (*option.opts, *option.secondary_opts)))
    return f"| {flags} | {_cell(option.help or '')} | {shown} |"


def app_reference() -> str:
    """The whole of docs/app.md."""
    schema = app_schema()
    spec, status = (schema["properties"][part] for part in ("spec", "status"))
    fields = [f"| `{path}` | {_type(field)} | {given} | {_text(field)} |" for path, field, given in _fields(spec)]
    said = [f"| `{path}` | {_type(field)} | {_text(field)} |" for path, field, _ in _fields(status)]
    rules = [f"| `{field}` | {message} |" for field, message in [*_rules(schema, ""), *_rules(spec, "spec")]]
    return "".join(
        [
            HEAD,
            _table("Spec", "", ("field", "type", "default", ""), fields),
            _table("What is refused", "What the API server says of a value that breaks a rule:", ("field", ""), rules),
            _table(
                "Status", "What the controller says of the App; nobody else writes here.", ("field", "type", ""), said
            ),
            EXAMPLE,
        ]
    )


def _table(title: str, text: str, columns: Sequence[str], rows: list[str]) -> str:
    return "\n".join(["", f"## {title}", "", *([text, ""] if text else []), _lines(columns, rows)])


def _lines(columns: Sequence[str], rows: list[str]) -> str:
    head = f"| {' | '.join(columns)} |".replace("|  |", "| |")
    return "\n".join([head, f"|{' --- |' * len(columns)}", *rows, ""])


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _fields(schema: Any, above: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every field below: its place, its schema, and its default."""
    required = schema.get("required") or ()
    for name, field in (schema.get("properties") or {}).items():
        value = field.get("default", "")
        default = f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else ""
        yield above + name, field, "**required**" if name in required else default
        yield from _fields(field.get("items", field), f"{above}{name}{'[]' if 'items' in field else ''}.")


def _type(field: Any) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "items" in field:
        return f"list: {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map: {_type(field['additionalProperties'])}"
    return {"string": "text", "integer": "number", "boolean": "true or false", "object": "object"}[field["type"]]


def _text(field: Any) -> str:
    most = f" At most {field['maxItems']}." if "maxItems" in field else ""
    return _cell(field["description"] + most)


def _rules(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    """The messages of all rules at and below a place, each with the field that it speaks of."""
    for rule in schema.get("x-kubernetes-validations") or ():
        yield (place + rule.get("fieldPath", "")).removeprefix("."), rule["message"]
    if place:
        for name, field in (schema.get("properties") or {}).items():
            yield from _rules(field, f"{place}.{name}")
        if "items" in schema:
            yield from _rules(schema["items"], f"{place}[]")
