"""The road of one sync, in one place: checkout → render → parse → plan → record → apply → wait → prune → record."""

import threading
from dataclasses import dataclass, replace

from pipeline.apply.remove import Removed, Remover
from pipeline.apply.run import Applier
from pipeline.apply.send import Policy, Sent
from pipeline.app import App, parse_duration
from pipeline.cluster.session import Session
from pipeline.errors import InputError
from pipeline.health.rules import Health, State, settled
from pipeline.health.wait import wait
from pipeline.inventory.claim import Claim, open_inventory
from pipeline.inventory.live import read_live
from pipeline.inventory.names import app_label, field_manager, selector
from pipeline.inventory.record import Entry, Outcome, Record, Standing
from pipeline.plan.decide import Plan, Rules, decide
from pipeline.plan.model import Action, Change
from pipeline.plan.prepare import Desired, Marks, prepare, resolve
from pipeline.progress import Progress
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from renderers.api import Capabilities, Rendered
from renderers.manifest import ObjectId
