"""Trimtab: from a git commit to a cluster that equals it. The road is `sync.py`; every room below it does one step."""

__version__ = "0.1.0"
