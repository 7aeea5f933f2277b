"""From rendered manifests to a plan: reads what the decision needs of the cluster, as one value, and decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.app import App
from pipeline.cluster import objects
from pipeline.cluster.discovery import DEFINITIONS, Discovery, Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.session import Session
from pipeline.errors import InputError
from pipeline.inventory.claim import Opened, open_inventory
from pipeline.inventory.live import Live, read_live
from pipeline.inventory.moves import claims_on, offers_to
from pipeline.inventory.names import app_label, field_manager, selector
from pipeline.inventory.record import Record
from pipeline.inventory.store import Store, keyed_digest
from pipeline.plan.decide import Plan, Rules, decide
from pipeline.plan.model import NOBODY, Behind
from pipeline.plan.prepare import Desired, Marks, prepare
from pipeline.plan.resolve import Resolved, resolve
from renderers.api import Rendered
from renderers.manifest import ManifestSet, ObjectId


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what carrying it out needs: the inventory as it was opened, the manager, the set's objects.

    `absent` are the objects of the set that cannot be sent (now), with their waves.
    """

    plan: Plan
    opened: Opened
    manager: str
    desired: tuple[Desired, ...]
    absent: Mapping[ObjectId, int]

    @property
    def settled(self) -> bool:
        """Nothing to do, and nothing that the last turn left to be seen to: such a sync claims and writes nothing."""
        plan, record = self.plan, self.opened.record
        waits = record.held or plan.held_digest or plan.failed or plan.awaited or plan.delayed
        moves = record.claims or record.offers or plan.offers
        return plan.empty and not waits and not moves and (record.outcome.ok or not self.opened.stored.resource_version)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody says of one plan beside the App. `approve_all` is `--yes`, `approved` a digest that was approved.

    `read_only`: write nothing, not even the key; `deletion`: the App itself goes, and where it has no inventory its
    label is looked for on every kind; `release`: let everything live. `behind` tells which other Apps may want
    what this one is to prune, and is asked only where something is.
    """

    approve_all: bool = False
    approved: str = ""
    read_only: bool = False
    deletion: bool = False
    release: bool = False
    behind: Callable[[], Behind] = Behind


def make_plan(app: App, rendered: Rendered, session: Session, store: Store, wishes: Wishes | None = None) -> Planned:
    """Decide one sync of the App. Writes nothing, but for the key of Secrets' digests where there is none yet.

    Raises InputError for a set that has become empty, ManifestError for two manifests of one object, InventoryError
    for a lost inventory that cannot be rebuilt.
    """
    wishes = wishes or Wishes()
    resolved = _resolve(app, rendered, session)
    wanted = session.discovery.resources() if wishes.deletion else resolved.resources.values()
    opened = open_inventory(session, store, app, {kind for kind in wanted if "list" in kind.verbs})
    record = opened.record
    if not rendered.manifests and record.entries and not app.spec.prune.allow_empty:
        raise InputError(
            f"App {app} renders to nothing, and {len(record.entries)} objects of it live: nothing was changed",
            hint="if that is meant, use --allow-empty (prune.allowEmpty), or trimtab delete",
            reason="RenderedNothing",
        )
    _check_namespace(app, store, resolved.manifests)
    discovery = _discovered(session, record)
    manager, label = field_manager(app.name, record.owner), app_label(app)
    key_warnings: list[str] = []
    desired = prepare(
        resolved,
        Marks(label, record.owner),
        secret_digest=_secret_digest(store, key_warnings, create=not wishes.read_only),
    )
    live = Live(manager) if opened.fresh else _read_live(app, session, discovery, record, desired, manager)
    leaving = record.entries.keys() - {item.id for item in desired}
    rules = Rules(
        prune=app.spec.prune, release=wishes.release, approved=wishes.approved or record.approved,
        approve_all=wishes.approve_all, deletion=wishes.deletion, behind=wishes.behind() if leaving else NOBODY,
        unserved=_unserved(session, discovery, record),
        claims=claims_on(store, label) if leaving else {},
        offers=offers_to(store, label, record.claims.values()) if record.claims else {},
    )  # fmt: skip
    unlisted = tuple(f"{kind.kind} could not be listed: {why}" for kind, why in live.unlisted.items())
    plan = decide(
        desired, record, live, discovery, rules,
        failed=resolved.failed, awaited=resolved.awaited,
        warnings=(*opened.warnings, *resolved.warnings, *unlisted, *key_warnings),
    )  # fmt: skip
    going = {each.id: resolved.options[each.id].wave for each in plan.failed if each.id in resolved.options}
    return Planned(plan, opened, manager, desired, {**resolved.absent, **going})


def _resolve(app: App, rendered: Rendered, session: Session) -> Resolved:
    crds = [manifest.data for manifest in rendered.manifests if manifest.id.kind == "CustomResourceDefinition"]
    discovery = session.discovery
    resolved = resolve(rendered.manifests, discovery.with_crds(crds), app.spec.target.namespace)
    # A long-lived process may not have seen a CRD that came since.
    if (resolved.failed or resolved.awaited) and session.renew_discovery(discovery):
        resolved = resolve(rendered.manifests, session.discovery.with_crds(crds), app.spec.target.namespace)
    return resolved


def _discovered(session: Session, record: Record) -> Discovery:
    """The kinds of the cluster. Where the inventory has one that is not among them, we may have defined it just now."""
    discovery = session.discovery
    if any(discovery.find(entry.id.kind, entry.id.group) is None for entry in record.entries.values()):
        session.renew_discovery(discovery, at_once=True)
    return session.discovery


def _unserved(session: Session, discovery: Discovery, record: Record) -> frozenset[tuple[str, str]]:
    """Group and kind of what the inventory has, that a definition defines and serves in no version just now.

    No request as long as all is served. What may not be looked at counts as defined.
    """
    ids = (entry.id for entry in record.entries.values())
    unknown = frozenset((each.group, each.kind) for each in ids if discovery.find(each.kind, each.group) is None)
    if not unknown:
        return unknown
    try:
        definitions, _ = objects.list_objects(session.connection, DEFINITIONS, None)
    except ApiError as error:
        if not error.forbidden:
            raise
        return unknown
    return unknown & {(each["spec"]["group"], each["spec"]["names"]["kind"]) for each in definitions}


def _read_live(
    app: App, session: Session, discovery: Discovery, record: Record, desired: tuple[Desired, ...], manager: str
) -> Live:
    wanted: dict[Resource, set[str]] = {}
    for item in desired:
        wanted.setdefault(item.resource, set()).add(item.id.namespace)
    for entry in record.entries.values():
        resource = discovery.find(entry.id.kind, entry.id.group, entry.version)
        if resource is not None and "list" in resource.verbs:
            wanted.setdefault(resource, set()).add(entry.id.namespace)
    known = {resource for resource in wanted if discovery.find(resource.kind, resource.group) is not None}
    expected = {object_id: entry.fingerprint for object_id, entry in record.entries.items()}
    return read_live(
        session.connection, {resource: wanted[resource] for resource in known},
        selector=selector(app), manager=manager, expected=expected,
    )  # fmt: skip


def _check_namespace(app: App, store: Store, manifests: ManifestSet) -> None:
    """An inventory inside a namespace that the App itself owns would go with it."""
    holder = ObjectId(kind="Namespace", group="", namespace="", name=store.namespace)
    if holder in manifests:
        raise InputError(
            f"App {app} contains the namespace {store.namespace}, which its own inventory is kept in",
            hint="choose another one with --inventory-namespace",
        )


def _secret_digest(store: Store, warnings: list[str], *, create: bool) -> Callable[[bytes], str]:
    """Digests of Secrets with the installation's key, which is read when the first Secret needs it."""
    keys: list[bytes] = []

    def digest(body: bytes) -> str:
        if not keys:
            try:
                keys.append(store.hash_key(create=create))
            except ApiError as error:
                if not error.forbidden:
                    raise
                keys.append(b"")
                warnings.append(f"Secrets are sent at every sync: their digests need a key, and {error.message}")
        return keyed_digest(keys[0], body) if keys[0] else ""

    return digest
