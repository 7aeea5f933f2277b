"""What a manifest's annotations ask for."""

import pytest

from pipeline.errors import InputError
from pipeline.plan.options import NONE, Options, options_of
from renderers.manifest import ObjectId


def test_nothing_is_asked_without_annotations() -> None:
    assert options_of({}) == NONE


@pytest.mark.parametrize(
    ("annotations", "options"),
    [
        ({"trimtab.dev/wave": "5"}, Options(wave=5)),
        ({"trimtab.dev/wave": "-1"}, Options(wave=-1)),
        ({"argocd.argoproj.io/sync-wave": "3"}, Options(wave=3)),
        ({"argocd.argoproj.io/sync-wave": "3", "trimtab.dev/wave": "1"}, Options(wave=1)),
        ({"trimtab.dev/apply": "once"}, Options(apply="once")),
        ({"fluxcd.io/ignore": "true"}, Options(apply="ignore")),
        ({"trimtab.dev/conflicts": "yield"}, Options(conflicts="yield")),
        ({"trimtab.dev/recreate": "allowed"}, Options(recreate="allowed")),
        ({"trimtab.dev/timeout": "1m30s"}, Options(timeout=90)),
    ],
)
def test_each_annotation_is_read(annotations: dict[str, str], options: Options) -> None:
    assert options_of(annotations) == options


def test_dependencies_are_read_as_cli_utils_writes_them() -> None:
    text = "apps/namespaces/shop/Deployment/web, /Namespace/shop,/namespaces/shop/Secret/key"
    assert options_of({"config.kubernetes.io/depends-on": text}).depends_on == (
        ObjectId(kind="Deployment", group="apps", namespace="shop", name="web"),
        ObjectId(kind="Namespace", group="", namespace="", name="shop"),
        ObjectId(kind="Secret", group="", namespace="shop", name="key"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trimtab.dev/wave", "first"),
        ("trimtab.dev/wave", "1.5"),
        ("trimtab.dev/wave", "1_000"),
        ("trimtab.dev/wave", "9" * 5000),
        ("trimtab.dev/wave", ["1"]),
        ("argocd.argoproj.io/sync-wave", ""),
        ("trimtab.dev/apply", "never"),
        ("trimtab.dev/conflicts", "win"),
        ("trimtab.dev/recreate", "true"),
        ("trimtab.dev/timeout", "10"),
        ("config.kubernetes.io/depends-on", "Deployment/web"),
        ("config.kubernetes.io/depends-on", "apps/namespaces//Deployment/web"),
        ("config.kubernetes.io/depends-on", "/Namespace/shop,"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_annotation(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        options_of({name: value})
