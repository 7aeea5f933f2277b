"""The names by which an App marks what it owns: label, annotations, field manager, owner id. Pure."""

import hashlib
import secrets

from pipeline.app import App

APP_LABEL = "trimtab.dev/app"
OWNER_ANNOTATION = "trimtab.dev/owner"
OBJECT_ANNOTATION = "trimtab.dev/object"
PRUNE_ANNOTATION = "trimtab.dev/prune"
APPLY_ANNOTATION = "trimtab.dev/apply"
INVENTORY_LABEL = "trimtab.dev/inventory"
CLAIMS_LABEL = "trimtab.dev/claims"

#: Kubernetes' limits: a label value (labels and selectors) and a field manager (validation of managedFields).
_LABEL_MAX = 63
_MANAGER_MAX = 128


def new_owner_id() -> str:
    """A fresh owner id: 20 hexadecimal digits, random."""
    return secrets.token_hex(10)


def app_label(app: App) -> str:
    """The value of `trimtab.dev/app` for an App."""
    return label_of(app.metadata.namespace, app.metadata.name)


def label_of(namespace: str, name: str) -> str:
    """The same for an App of that name: `<namespace>.<name>`, past 63 characters cut and closed with a hash."""
    full = f"{namespace}.{name}"
    if len(full) <= _LABEL_MAX:
        return full
    return f"{full[: _LABEL_MAX - 11]}-{hashlib.sha256(full.encode()).hexdigest()[:10]}"


def field_manager(name: str, owner: str) -> str:
    """The field manager of the App of that name in one installation: so two Apps are two owners to the API server."""
    return f"trimtab-{name}-{owner[:8]}"[:_MANAGER_MAX]


def selector(app: App) -> str:
    """The label selector of everything that the App owns."""
    return f"{APP_LABEL}={app_label(app)}"
