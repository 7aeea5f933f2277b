"""`trimtab suspend` and `trimtab resume`."""

import json
from collections.abc import Callable
from typing import Any

from played import Apps

from pipeline.control.resource import SYNC_ANNOTATION

Trimtab = Callable[..., Any]


def test_an_app_is_suspended_and_resumed_once_each(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    result = trimtab("suspend", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert f"until trimtab resume shop -n {apps.namespace}" in result.out
    assert apps.get()["spec"]["suspend"] is True
    again = trimtab("suspend", "shop", "-n", apps.namespace)
    assert (again.code, again.out) == (0, f"App {apps.namespace}/shop is suspended already\n")

    assert trimtab("resume", "shop", "-n", apps.namespace).code == 0
    assert apps.get()["spec"]["suspend"] is False
    assert apps.annotations()[SYNC_ANNOTATION]
    version = apps.get()["metadata"]["resourceVersion"]
    again = trimtab("resume", "shop", "-n", apps.namespace, "-o", "json")
    assert json.loads(again.out) == {"app": f"{apps.namespace}/shop", "suspended": False, "changed": False}
    assert apps.get()["metadata"]["resourceVersion"] == version
