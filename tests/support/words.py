"""The words that the code can say, gathered from it: reasons in conditions, labels, annotations, finalizers, managers."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import harness

import pipeline
import renderers
from pipeline.app.status import Condition, Problem
from pipeline.cluster.deployers import known_deployer
from pipeline.control import own, resource
from pipeline.errors import TrimtabError
from pipeline.inventory import names
from pipeline.source.reasons import Reason

#: What ends a command or a process, and never a turn of an App.
_NO_CONDITION = {"InstallFailed", "LeaseLost", "NoAnswer"}
#: Other words of the modules that are searched: types and truths of conditions.
_TRUTHS = set(get_args(Condition.__annotations__["status"].__args__[0])) if False else {"True", "False", "Unknown"}
