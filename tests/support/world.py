"""A namespace with several Apps, somebody else who works in it too, and syncs that may die at any request.

What can be done there, and what there is to see. What must hold is in `model.py`.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crash import KilledError, Moment, Mortal, quiet_death
from things import HIS_VALUES, KINDS, Key, Seen, manifest

from pipeline.app import App, Guard, Metadata, Prune, Spec, Wait
from pipeline.app import Target as AppTarget
from pipeline.cluster import objects
from pipeline.cluster.errors import ApiError
from pipeline.cluster.session import Session
from pipeline.deletion import delete
from pipeline.errors import TrimtabError
from pipeline.inventory.names import APP_LABEL, INVENTORY_LABEL, OWNER_ANNOTATION, PRUNE_ANNOTATION, app_label
from pipeline.inventory.record import Record
from pipeline.inventory.store import NAMESPACES, Store, ensure_namespace
from pipeline.plan.model import Behind
from pipeline.rendering import render_app
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from pipeline.sync import Target, sync
from renderers.options import RenderOptions

#: Somebody else's annotation: nobody but him may take it off.
NOTE = "example.com/note"
#: Of every App here: small, so that it holds often.
GUARD = Guard(percent=50, at_least=3)


@dataclass
class Tenant:
    """One App of the world, as git has it.

    `wanted` is its set; `also` has what is written as it is, by file name. `broken` is `yaml` (nothing can be
    rendered), `field` (one object cannot be applied) or empty. `planned` is the number of the commit that it was last
    planned at; `gone`: there is no such App now.
    """

    name: str
    folder: Path
    wanted: dict[Key, int] = field(default_factory=dict)
    also: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: str = ""
    planned: int = 0
    gone: bool = True


class World:
    """Several Apps in one namespace; see the module. `story` says what was done, line by line.

    `through` is Trimtab's own connection, where it is another one than the one that is looked and worked with here.
    """

    def __init__(
        self, connection: Mortal, folder: Path, names: tuple[str, ...], *, through: Mortal | None = None
    ) -> None:
        self.connection = connection
        self.through = through or connection
        self.namespace = f"world-{secrets.token_hex(4)}"
        self.story: list[str] = []
        self.commit = 0
        #: Something was done since it was last set to false.
        self.acted = True
        #: Apps that may have something to do.
        self.unsynced: set[str] = set()
        self.tenants = {name: Tenant(name, folder / name) for name in names}
        self._root = folder
        #: What somebody else deleted, by UID: it is not ours that it is gone; and what he has just written to.
        self.his_deletes: set[str] = set()
        self.his_writes: set[str] = set()
        #: What somebody else made, with the App label it was made with; and where he left a note of his own.
        self.his: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        #: He asked for it to be kept; or he took our marks off, which is as good as a wish to keep it.
        self.kept: set[str] = set()
        self.unmarked: set[str] = set()
        for tenant in self.tenants.values():
            tenant.folder.mkdir(parents=True)
        ensure_namespace(connection, self.namespace)

    def end(self) -> None:
        meta = objects.get_metadata(self.connection, NAMESPACES, "", self.namespace)
        assert meta is not None
        objects.delete(self.connection, NAMESPACES, "", self.namespace, uid=meta["metadata"]["uid"])

    def say(self, line: str) -> None:
        self.story.append(line)
        self.acted = True
        self.unsynced = {name for name, tenant in self.tenants.items() if not tenant.gone}

    def see(self) -> Seen:
        lists = (objects.list_objects(self.connection, kind, self.namespace)[0] for kind in KINDS.values())
        return Seen({item["metadata"]["uid"]: item for items in lists for item in items if not _of_trimtab(item)})

    # Git: each of these is one commit.

    def put(self, name: str, versions: Mapping[Key, int]) -> None:
        """These objects in these versions into one App's folder, out of every other one."""
        self.say(f"commit: {name} gets {_listed(f'{key} v{version}' for key, version in versions.items())}")
        for tenant in self.tenants.values():
            for key in versions:
                tenant.wanted.pop(key, None)
        self.tenants[name].wanted |= versions
        self.tenants[name].gone = False
        self.unsynced.add(name)
        self._written()

    def add(self, name: str, *manifests: dict[str, Any]) -> None:
        """These manifests, just as they are, into the App's folder, in place of those of the same kind and name."""
        files = {f"{data['kind']}-{data['metadata']['name']}.json": data for data in manifests}
        self.say(f"commit: {name} gets {_listed(files)}")
        self.tenants[name].also |= files
        self.tenants[name].gone = False
        self._written()

    def drop(self, name: str, keys: set[Key]) -> None:
        """These objects leave the App's folder."""
        self.say(f"commit: {name} loses {_listed(map(str, keys))}")
        for key in keys:
            self.tenants[name].also.pop(f"{key.kind}-{key.name}.json", None)
        for key in keys:
            self.tenants[name].wanted.pop(key, None)
        self._written()

    def break_(self, name: str, how: str) -> None:
        """The folder is broken as a whole (`yaml`), has an object that cannot be applied (`field`), or is mended."""
        self.say(f"commit: {name} is {f'broken ({how})' if how else 'mended'}")
        self.tenants[name].broken = how
        self._written()

    def _written(self) -> None:
        self.commit += 1
        for tenant in self.tenants.values():
            for file in tenant.folder.iterdir():
                file.unlink()
            for name, data in tenant.also.items():
                (tenant.folder / name).write_text(json.dumps(data))
            for key, version in tenant.wanted.items():
                (tenant.folder / f"{key.kind}-{key.name}.json").write_text(json.dumps(manifest(key, version)))
            if tenant.broken == "yaml":
                (tenant.folder / "broken.yaml").write_text("a: [\n")
            elif tenant.broken == "field":
                bad = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"}, "spec": {"type": "Nonsense"}}
                (tenant.folder / "broken.json").write_text(json.dumps(bad))

    # Trimtab

    def app(self, name: str, *, allow_empty: bool = False) -> App:
        prune = Prune(guard=GUARD, allow_empty=allow_empty)
        spec = Spec(target=AppTarget(namespace=self.namespace), prune=prune, wait=Wait(timeout="60s"))
        return App(Metadata(name=name, namespace=self.namespace), spec)

    def sync(self, name: str, moment: Moment | None = None, *, allow_empty: bool = False) -> SyncResult | str:
        """One sync of the App as git is now. Returns its result, or an error's message; empty: it died."""
        tenant, app = self.tenants[name], self.app(name, allow_empty=allow_empty)
        checkout = Checkout(
            self._root.resolve(), tenant.folder.resolve(), f"{self.commit:040x}", "https://example.com/world.git",
            "branch main", float(self.commit),
        )  # fmt: skip
        commit = self.commit

        def planned(_: frozenset[str]) -> None:
            tenant.planned = commit

        def run(target: Target) -> SyncResult:
            target = replace(target, on_planned=planned)
            return sync(app, checkout, lambda: render_app(app, checkout, RenderOptions()), target)

        return self._run(name, "sync", run, moment)

    def delete(self, name: str, moment: Moment | None = None, *, release: bool = False) -> SyncResult | str:
        """Delete the App, once git has nothing for it any more."""
        app = self.app(name)
        result = self._run(
            name, "release" if release else "delete", lambda target: delete(app, target, release=release), moment,
        )  # fmt: skip
        self.tenants[name].gone = self.record(name) is None
        return result

    def _run(
        self, name: str, what: str, run: Callable[[Target], SyncResult], moment: Moment | None
    ) -> SyncResult | str:
        moment = moment or Moment()
        session = Session(self.through.until(moment))
        outcome: SyncResult | str = ""
        with quiet_death(), suppress(KilledError):
            try:
                store = Store(session.connection, self.namespace)
                outcome = run(Target(session, store, stop=moment.dead, behind=lambda: self._behind(name)))
            except TrimtabError as error:
                outcome = error.message
        outcome = "" if moment.dead.is_set() else outcome
        told = outcome.summary if isinstance(outcome, SyncResult) else outcome or "it died"
        unsynced = self.unsynced - {name} if isinstance(outcome, SyncResult) and outcome.ok else self.unsynced
        self.say(f"{what} App {name}: {told}" + (f" ({moment.fallen})" if moment.fallen else ""))
        self.unsynced = unsynced
        return outcome

    def _behind(self, name: str) -> Behind:
        """As the controller says it; who waits for an App that renders to nothing has waited long enough."""
        tenants = [each for each in self.tenants.values() if each.name != name and not each.gone]
        late = [each for each in tenants if each.planned < self.commit]
        return Behind(tuple(each.name for each in late), overdue=any(each.broken or not each.wanted for each in late))

    def approve(self, name: str) -> bool:
        """As `trimtab approve`; tells whether anything was held."""
        store, app = self.store(), self.app(name)
        stored = store.load(app)
        if stored.record is None or not stored.record.held_digest:
            return False
        self.say(f"approve {name}: {_listed(stored.record.held)}")
        store.save(app, stored, replace(stored.record, approved=stored.record.held_digest))
        return True

    def store(self) -> Store:
        return Store(self.connection, self.namespace)

    def record(self, name: str) -> Record | None:
        return self.store().load(self.app(name)).record

    def label(self, name: str) -> str:
        return app_label(self.app(name))

    # Somebody else

    def create(self, key: Key, *, marks_of: Key | None = None) -> None:
        """He makes an object of that name, if there is none; with another one's labels and annotations, as a copy."""
        original = self._get(marks_of) if marks_of else None
        body = manifest(key, 0)
        metadata = original["metadata"] if original else {}
        body["metadata"] |= {part: metadata[part] for part in ("labels", "annotations") if part in metadata}
        body["metadata"].setdefault("annotations", {})[NOTE] = "his"
        with suppress(ApiError):
            live = objects.create(self.connection, KINDS[key.kind], self.namespace, body, manager="somebody")
            self._made(live)
            self.say(f"somebody creates {key}" + (f" as a copy of {marks_of}" if original else ""))

    def _made(self, live: Mapping[str, Any]) -> None:
        metadata = live["metadata"]
        self.his[metadata["uid"]] = metadata.get("labels", {}).get(APP_LABEL, "")
        self.notes[metadata["uid"]] = metadata["annotations"][NOTE]

    def remove(self, key: Key) -> None:
        """He deletes it."""
        live = self._get(key)
        if live is not None:
            self.his_deletes.add(live["metadata"]["uid"])
            objects.delete(self.connection, KINDS[key.kind], self.namespace, key.name, uid=live["metadata"]["uid"])
            self.say(f"somebody deletes {key}")

    def replace(self, key: Key) -> None:
        """He deletes it and makes one of that name of his own."""
        self.remove(key)
        self.create(key)

    def restore(self, key: Key) -> None:
        """He deletes it and brings it back as it was, from a backup: with our marks."""
        live = self._get(key)
        if live is not None:
            self.remove(key)
            live["metadata"] = {part: live["metadata"].get(part) or {} for part in ("name", "labels", "annotations")}
            live["metadata"]["annotations"][NOTE] = "his"
            for part in ("clusterIP", "clusterIPs"):
                live["spec"].pop(part, None) if key.kind == "Service" else None
            self._made(objects.create(self.connection, KINDS[key.kind], self.namespace, live, manager="somebody"))
            self.say(f"somebody restores {key} from a backup")

    def edit(self, key: Key, how: str) -> None:
        """He writes into it: a field that git declares, one of his own, our marks off, or that it is to be kept."""
        live = self._get(key)
        if live is None:
            return
        uid, note = live["metadata"]["uid"], secrets.token_hex(2)
        patch: dict[str, Any] = {
            "change": HIS_VALUES[key.kind],
            "note": {"metadata": {"annotations": {NOTE: note}}},
            "unlabel": {"metadata": {"labels": {APP_LABEL: None}}},
            "disown": {"metadata": {"annotations": {OWNER_ANNOTATION: None}}},
            "keep": {"metadata": {"annotations": {PRUNE_ANNOTATION: "never"}}},
        }[how]
        with suppress(ApiError):
            objects.merge_patch(self.connection, KINDS[key.kind], self.namespace, key.name, patch, manager="somebody")
            self.say(f"somebody edits {key}: {how}")
            self.his_writes.add(uid)
            if how == "note":
                self.notes[uid] = note
            elif how == "keep":
                self.kept.add(uid)
            elif how in ("unlabel", "disown"):
                self.unmarked.add(uid)

    def _get(self, key: Key) -> dict[str, Any] | None:
        return objects.get(self.connection, KINDS[key.kind], self.namespace, key.name)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _of_trimtab(item: Mapping[str, Any]) -> bool:
    """Kubernetes' own, and what Trimtab keeps for itself."""
    metadata = item["metadata"]
    return metadata["name"] in ("kube-root-ca.crt", "trimtab-hash-key") or INVENTORY_LABEL in metadata.get("labels", {})
