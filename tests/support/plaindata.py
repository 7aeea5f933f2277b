"""Drawn data: what a Kubernetes object may hold, with the texts that a writer of YAML may get wrong."""

from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = (
    st.text(max_size=12)
    | st.text(alphabet=" \n\t:#-'\"\\|>{}[],&*!%@`?~0ey.", max_size=8)
    | st.text(alphabet="0123456789_+-.eExob:", max_size=6)
)
DATA = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def as_floats(data: Any) -> Any:
    """Floats past 2^53 come back as ints with the same digits: compare what they are to a float's precision."""
    if isinstance(data, dict):
        return {key: as_floats(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_floats(value) for value in data]
    is_large = isinstance(data, int | float) and not isinstance(data, bool) and not -(2**53) < data < 2**53
    return float(data) if is_large else data
