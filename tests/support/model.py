"""What must hold in a world at any moment, and what once nothing is left to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from crash import Moment
from things import Key, Seen, expected, values
from world import GUARD, NOTE, World

from pipeline.inventory.names import INVENTORY_LABEL, OWNER_ANNOTATION
from pipeline.inventory.record import Record, Standing
from pipeline.plan.model import Action

#: An App that waits for another one, or for an approval, needs a few turns.
_ROUNDS = 12


@dataclass(frozen=True)
class View:
    """The cluster and the inventories at one moment."""

    seen: Seen
    records: dict[str, Record | None]

    @classmethod
    def of(cls, world: World) -> "View":
        records = dict(world.store().records(INVENTORY_LABEL))
        return cls(world.see(), {name: records.get(world.label(name)) for name in world.tenants})

    @property
    def owned(self) -> set[str]:
        """The UIDs that some inventory has."""
        return {entry.uid for record in self.records.values() if record for entry in record.entries.values()}

    def keys(self, name: str) -> set[Key]:
        record = self.records[name]
        return {Key(each.kind, each.name) for each in record.entries} if record else set()


class Promises:
    """Watches over a world: `during` each act, and when it is `settled`."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: Something did not hold.
        self.broken = False
        self._last = View(Seen({}), {})
        #: What existed while it was in no inventory, by UID: not ours to delete, ever.
        self._before_us: set[str] = set()
        #: Of those, what nobody may write to as long as no App wants it, with its resourceVersion.
        self._at_rest: dict[str, str] = {}

    @contextmanager
    def during(self, name: str = "") -> Iterator[None]:
        """Look before and after something was done; `name` is the App whose sync or deletion it was."""
        self.broken, was = True, self.broken
        before = self._look() if self.world.acted else self._last
        yield
        after = self._look()
        self._no_delete_of_others(before, after)
        if name:
            self._wanted_stays(name, before, after)
            self._guarded(name, before, after)
        self._nothing_leaked(after)
        self._others_untouched(after)
        self.broken = was

    def _look(self) -> View:
        self._last = view = View.of(self.world)
        self.world.acted = False
        self._before_us |= view.seen.objects.keys() - view.owned
        wanted = {key for tenant in self.world.tenants.values() for key in tenant.wanted}
        wanted |= {key for name in self.world.tenants for key in view.keys(name)}
        for uid, version in view.seen.versions().items():
            if view.seen.key(uid) in wanted or uid in view.owned or uid in self.world.his_writes:
                self._at_rest.pop(uid, None)
            if uid in self.world.his and uid not in view.owned and view.seen.key(uid) not in wanted:
                self._at_rest.setdefault(uid, version)
        self.world.his_writes.clear()
        return view

    def _no_delete_of_others(self, before: View, after: View) -> None:
        gone = before.seen.objects.keys() - after.seen.objects.keys() - self.world.his_deletes
        for uid in gone:
            key = before.seen.key(uid)
            assert uid not in self._before_us, f"{key} was deleted, and no App had created it"
            assert uid not in self.world.kept, f"{key} was deleted, and it carries the wish to be kept"
        lost = self._before_us & before.seen.objects.keys() - after.seen.objects.keys() - self.world.his_deletes
        assert not lost

    def _wanted_stays(self, name: str, before: View, after: View) -> None:
        """Nothing that git has is deleted: neither what this App wants, nor what has been moved to another one."""
        gone = before.seen.objects.keys() - after.seen.objects.keys() - self.world.his_deletes
        for tenant in self.world.tenants.values():
            for key in tenant.wanted.keys() & {before.seen.key(uid) for uid in gone}:
                raise AssertionError(f"{key} was deleted by App {name}, and git has it for App {tenant.name}")

    def _guarded(self, name: str, before: View, after: View) -> None:
        record = before.records[name]
        gone = before.seen.objects.keys() - after.seen.objects.keys() - self.world.his_deletes
        if record is None or record.approved or len(gone) < GUARD.at_least:
            return
        assert len(gone) * 100 <= GUARD.percent * len(record.entries), f"{len(gone)} objects deleted past the guard"

    def _nothing_leaked(self, view: View) -> None:
        for name in self.world.tenants:
            label = self.world.label(name)
            marked = {uid for uid in view.seen.labelled(label) if self.world.his.get(uid) != label}
            leaked = {view.seen.key(uid) for uid in marked} - view.keys(name)
            assert not leaked, f"{leaked} carry the label of App {name} and are not in its inventory"

    def _others_untouched(self, view: View) -> None:
        now = view.seen.versions()
        for uid, version in self._at_rest.items():
            assert uid in self.world.his_deletes or now.get(uid) == version, f"{view.seen.key(uid)} is not ours"
        for uid, note in self.world.notes.items():
            if uid in view.seen.objects:
                annotations = view.seen.objects[uid]["metadata"].get("annotations", {})
                assert annotations.get(NOTE) == note, f"{view.seen.key(uid)}: somebody's note is gone"

    def lives(self, key: Key) -> bool:
        """Whether there was such an object when it was looked last."""
        return self._last.seen.get(key) is not None

    def settle(self) -> None:
        """Sync all Apps until nothing changes, and hold the cluster against git."""
        world = self.world
        for name, tenant in world.tenants.items():
            if tenant.broken:
                self.sync(name)
                world.break_(name, "")
        for _ in range(_ROUNDS):
            turns = [self._turn(name) for name, tenant in world.tenants.items() if not tenant.gone]
            if not any(turns):
                self._as_git_has_it(self._last)
                return
        raise AssertionError("the Apps do not come to rest")

    def sync(self, name: str, moment: Moment | None = None) -> None:
        """One sync, whatever comes of it."""
        tenant = self.world.tenants[name]
        if tenant.gone:
            return
        before = self._look() if self.world.acted else self._last
        with self.during(name):
            result = self.world.sync(name, moment)
        after = self._last
        empty = not (tenant.broken or tenant.wanted or tenant.also)
        if (tenant.broken == "yaml" or (empty and before.keys(name))) and not (moment and moment.act):
            assert isinstance(result, str), f"App {name} renders to nothing, and its sync succeeds"
            assert before.records == after.records
            assert before.seen.versions() == after.seen.versions(), (
                f"App {name} renders to nothing, and changed something"
            )

    def delete(self, name: str, moment: Moment | None = None, *, release: bool = False) -> None:
        """Delete an App; a moment may come in the first turn."""
        world = self.world
        world.break_(name, "")
        world.drop(name, set(world.tenants[name].wanted))
        for _ in range(_ROUNDS):
            if self.deletion(name, moment, release=release):
                return
            moment = None
            for other, tenant in world.tenants.items():
                if other != name and not tenant.gone:
                    self.sync(other)
        raise AssertionError(f"App {name} cannot be deleted")

    def deletion(self, name: str, moment: Moment | None = None, *, release: bool = False) -> bool:
        """One turn of a deletion, and an approval where it waits for one. Tells whether the App is gone."""
        with self.during(name):
            self.world.delete(name, moment, release=release)
        return self.world.tenants[name].gone or (self.world.approve(name) and False)

    def _turn(self, name: str) -> bool:
        """One sync of an App, and an approval where it waits for one. Tells whether anything happened."""
        world = self.world
        with self.during(name):
            result = world.sync(name, allow_empty=True)
        if isinstance(result, str):
            raise AssertionError(f"App {name} cannot be synced: {result}")  # noqa: TRY004 - what is tested fails
        return world.approve(name) or result.of(*Action) != result.of(Action.UNCHANGED) or not result.ok

    def _as_git_has_it(self, view: View) -> None:
        seen = view.seen
        all_wanted: set[str] = set()
        for name, tenant in self.world.tenants.items():
            record = view.records[name]
            also = {Key(data["kind"], data["metadata"]["name"]) for data in tenant.also.values()}
            owned, wanted = view.keys(name), tenant.wanted.keys() | also
            assert owned == wanted, f"App {name} owns {owned}, and git has {wanted}"
            assert not record or record.outcome.ok, record
            for key, version in tenant.wanted.items():
                live = seen.get(key)
                assert live is not None, f"{key} of App {name} does not live"
                # What was there before us, and git says nothing of, is not ours to take off.
                found, before_us = values(live), live["metadata"]["uid"] in self._before_us
                more = {part: text for part, text in found.items() if part not in expected(key, version)}
                assert found == expected(key, version) | (more if before_us else {}), f"{key} is not as {name} has it"
                assert live["metadata"]["annotations"][OWNER_ANNOTATION] == (record.owner if record else "")
                all_wanted.add(live["metadata"]["uid"])
            all_wanted |= {entry.uid for entry in record.entries.values()} if record else set()
            for entry in record.entries.values() if record else ():
                key = Key(entry.id.kind, entry.id.name)
                assert entry.standing is not Standing.PENDING, key
                assert key in also or seen.objects[entry.uid]["metadata"]["name"] == key.name
                created = entry.uid not in self._before_us
                assert not (entry.standing is Standing.CREATED and not created), f"{key} is said to be created by us"
        for uid, live in seen.objects.items():
            if uid in all_wanted:
                continue
            key = seen.key(uid)
            fine = uid in self._before_us | self.world.kept | self.world.unmarked
            assert fine, f"{key} left git, and it lives on"
            managers = {entry["manager"] for entry in live["metadata"].get("managedFields", ())}
            left = {manager for manager in managers if manager.startswith("trimtab-") and manager != "trimtab-release"}
            assert not left, f"{key} left git, and {left} still own fields of it"
