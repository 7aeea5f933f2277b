"""Secret values are taken out of what programs say."""

import base64
from typing import Any

import pytest

from pipeline.apply.masking import masker
from pipeline.inventory.store import CONFIG_MAPS, SECRETS
from pipeline.plan.order import Stage
from pipeline.plan.prepare import Desired
from renderers.manifest import ObjectId


def _desired(kind: str, **values: str) -> Desired:
    object_id = ObjectId(kind, "", "ns", "one")
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
    data: dict[str, Any] = {"kind": kind, "data": encoded}
    resource = SECRETS if kind == "Secret" else CONFIG_MAPS
    return Desired(object_id, resource, data, b"", "", Stage.CONFIGURATION, "")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("connecting with hunter22 to db", "connecting with *** to db"),
        ("a line of it: second-line!", "a line of it: ***!"),
        (f"encoded {base64.b64encode(b'hunter22').decode()}", "encoded ***"),
        ("on and 1 stay", "on and 1 stay"),
    ],
)
def test_a_value_and_its_forms_are_masked(said: str, shown: str) -> None:
    secret = _desired("Secret", password="hunter22", key="first-line\nsecond-line", flag="on", number="1")
    assert masker([secret])(said) == shown


def test_what_is_no_secret_stays() -> None:
    assert masker([_desired("ConfigMap", name="hunter22")])("hunter22") == "hunter22"


def test_a_long_value_goes_before_one_that_is_part_of_it() -> None:
    assert masker([_desired("Secret", a="pass", b="password-long")])("password-long") == "***"
