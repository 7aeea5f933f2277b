"""The App: what it is (model), what it may say (rules), where it comes from (read)."""

from pipeline.app.model import (
    API_VERSION,
    DEFAULT_NAMESPACE,
    Adopt,
    App,
    Dependency,
    GitSource,
    Guard,
    Metadata,
    Prune,
    SecretRef,
    Source,
    Spec,
    Target,
    Wait,
)
from pipeline.app.read import app_of_resource, check, load_app_file
from pipeline.app.rules import check_source, parse_duration

__all__ = [
    "API_VERSION",
    "DEFAULT_NAMESPACE",
    "Adopt",
    "App",
    "Dependency",
    "GitSource",
    "Guard",
    "Metadata",
    "Prune",
    "SecretRef",
    "Source",
    "Spec",
    "Target",
    "Wait",
    "app_of_resource",
    "check",
    "check_source",
    "load_app_file",
    "parse_duration",
]
