"""One call of the allocator under the lock: read everything, decide, write, log.

Desk knows where policy, engine, NVML, clock and accounts are; all of them can be given,
so that decisions can be tested without any of them.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ds01.core import owner
from ds01.core.errors import HelperError
from ds01.core.owner import Owner
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.core.units import utc_stamp
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger import use as ledger_use
from ds01.gpus.ledger.document import Document
from ds01.gpus.ledger.engine_view import View, read_view
from ds01.gpus.ledger.reconcile import Work, World, reconcile
from ds01.gpus.rules.refusal import Refusal
from ds01.policy.limits import effective_limits, load_policy
from ds01.policy.types import Effective, Policy, User
from ds01.policy.users import identify_user
from ds01.records import documents
from ds01.records.event_log import log_lock

LOG = "gpu-allocations"
_USER_SECONDS = 60.0

Cache = Mapping[str, tuple[str, ...]]
ViewReader = Callable[[Cache], tuple[View, Mapping[str, tuple[str, ...]]]]


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def _read_inventory() -> Inventory:
    from ds01.gpus.devices import inventory as devices_inventory  # noqa: PLC0415 - NVML is slow to load, tests need none

    return devices_inventory.read_inventory()


class PolicyFile:
    """The policy of a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._found: Policy | HelperError | None = None

    def get(self) -> Policy:
        """Return the policy; raises HelperError(CONFIG) for a broken one."""
        seen: object = None
        with contextlib.suppress(OSError):
            stat = self._path.stat()
            # Rights that change show in the ctime only.
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        if self._found is None or seen is None or seen != self._seen:
            try:
                self._found = load_policy(self._path)
            except HelperError as error:
                self._found = error
            self._seen = seen
        if isinstance(self._found, HelperError):
            raise self._found.with_traceback(None)
        return self._found


class Desk:
    """Where the allocator gets everything from, and where it writes."""

    def __init__(
        self,
        paths: Paths,
        engine_address: str,
        *,
        now: Callable[[], datetime] | None = None,
        inventory: Callable[[], Inventory] | None = None,
        view: ViewReader | None = None,
        is_alive: Callable[[Owner], bool] = owner.is_alive,
        policy: Callable[[], Policy] | None = None,
        identify: Callable[[int], User] = identify_user,
    ) -> None:
        self.paths = paths
        self.now = now or _utc_now
        self.policy = policy or PolicyFile(paths.policy).get
        self.read_inventory = inventory or _read_inventory
        self.is_alive = is_alive
        self._address = engine_address
        self._read_view = view or self._ask_engine
        self._identify = identify
        self._users: dict[int, tuple[float, User]] = {}
        self._limits: dict[int, tuple[Policy, User, bool, Effective]] = {}

    def user(self, uid: int) -> User:
        """Return a user; looked up once a minute, since LDAP may be slow."""
        known = self._users.get(uid)
        if known is None or time.monotonic() - known[0] > _USER_SECONDS:
            known = (time.monotonic(), self._identify(uid))
            self._users[uid] = known
        return known[1]

    def effective(self, user: User) -> Effective:
        """Return the limits that hold for a user now."""
        policy, now = self.policy(), self.now()
        override = policy.overrides.get(user.name)
        # All that time changes.
        expired = bool(override and override.expires and override.expires <= now)
        known = self._limits.get(user.uid)
        if known is None or known[0] is not policy or known[1:3] != (user, expired):
            limits = effective_limits(policy, user, now)
            known = self._limits[user.uid] = (policy, user, expired, limits)
        return known[3]

    def hold_of(self, uid: int) -> int | None:
        """Return for how many seconds a user's stopped container keeps its devices.

        None is for ever. Raises HelperError where it cannot be said.
        """
        user, now = self.user(uid), self.now()
        for item in self.policy().exemptions:
            if (
                item.user == user.name
                and "gpu_hold_after_stop" in item.limits
                and (item.until is None or item.until > now)
            ):
                return None
        return self.effective(user).limits.gpu_hold_after_stop

    @contextlib.contextmanager
    def work(self) -> Iterator[Work]:
        """Hold the lock; write and log what was made of the document at the end.

        A refusal is an outcome too: what was put in order before it is kept.
        """
        with contextlib.ExitStack() as lock:
            # The lines that are known by then need not be read under the lock.
            prepare = functools.partial(ledger_document.peek, self.paths)
            lock.enter_context(documents.state_lock(self.paths, prepare=prepare))
            before, problem = ledger_document.load(self.paths)
            work = Work(before)
            if problem is not None:
                work.tell("rebuild", reason=problem)
            try:
                yield work
            except Refusal:
                self._finish(before, work, lock)
                raise
            self._finish(before, work, lock)

    def _finish(self, before: Document, work: Work, lock: contextlib.ExitStack) -> None:
        if work.document != before:
            born, changes = before.born or utc_stamp(), before.changes + 1
            document = replace(work.document, born=born, changes=changes)
            ledger_document.save(self.paths, document)
        if not work.events:
            return
        try:
            with contextlib.ExitStack() as later:
                with log_lock(self.paths, LOG, later=later) as append:
                    append(work.events)
                # The log is in the order of the decisions, and others need not wait
                # until it is on the disk.
                lock.close()
        except HelperError as error:
            # The decision is made and written: a full log must not undo it.
            say("warning", f"not logged: {error.message}", "gpu-allocator")

    def observe(self, work: Work, *, devices: bool = True) -> World:
        """Read engine and NVML, put the document in order; return what was seen.

        Without `devices` NVML is not asked, and nothing comes free.

        Raises HelperError(PREREQUISITE) where no engine answers: nothing changes then.
        """
        view, cache = self._read_view(work.document.containers)
        inventory = (
            self.read_inventory() if devices else Inventory(error="NVML was not asked")
        )
        now = self.now()
        document = work.document
        if cache != document.containers:
            document = replace(document, containers=dict(cache))
        if document.use is None:
            use = ledger_use.from_log(self.paths.log / f"{LOG}.log", now)
            document = replace(document, use=use)
        world = World(view, inventory, now, self.is_alive, self.hold_of)
        work.document, events = reconcile(document, world)
        work.events += events
        return world

    def _ask_engine(self, cache: Cache) -> tuple[View, Mapping[str, tuple[str, ...]]]:
        from ds01.core.engine import Engine  # noqa: PLC0415 - not where a view is given

        return read_view(Engine(self._address), cache)
