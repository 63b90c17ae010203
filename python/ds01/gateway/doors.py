"""The gateway's judge: what happens to the requests that policy names.

One method per rule of routes.py. The decisions are made by rewrite.py
on snapshots; this module fetches the snapshots (limits, the engine's facts) once per
run, tells the caller what was changed, and writes the event log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.gateway import confine, facts, json_body
from ds01.gateway import rewrite as gateway_rewrite
from ds01.gateway.build_rules import (
    build_query,
    check_prune,
    check_reference,
    helper_labels,
    is_helper,
    is_preparation,
    lost_names,
)
from ds01.gateway.builds import BuildDesk
from ds01.gateway.gpus import GpuDesk, Reserved
from ds01.gateway.http import Answer
from ds01.gateway.proxy import Exchange
from ds01.gateway.routes import Rule
from ds01.gateway.types import (
    Caller,
    HostFacts,
    Limits,
    Note,
    RefusalError,
    Rewrite,
    Site,
)
from ds01.gpus.ledger.device_request import NO_GPUS, Gpus
from ds01.policy.sections import Images

BODY_LIMIT = 4 << 20
_EMPTY_BODIES = (b"", b"{}", b"null")
_UNREACHABLE = re.compile(
    r"dial tcp|dial unix|no such host|connection (?:refused|reset)|i/o timeout|"
    r"Client\.Timeout|TLS handshake|network is unreachable|no route to host|"
    r"proxyconnect|server misbehaving|context deadline exceeded|\bEOF\b",
    re.IGNORECASE,
)
_UNKNOWN_THERE = re.compile(
    r"repository does not exist|manifest unknown|manifest for .* not found|"
    r"pull access denied|name unknown",
    re.IGNORECASE,
)

Tell = Callable[[str, str], None]
# Told why a request was refused: the exit status that fits, the reason, a hint.
Refused = Callable[[Exit, str, str | None], None]


class Doors:
    """Judges the requests of one caller."""

    def __init__(
        self,
        caller: Caller,
        engine: str,
        tell: Tell,
        refused: Refused = lambda *_: None,
        gpus: GpuDesk | None = None,
    ) -> None:
        """Take the caller, the path of the engine's socket, and where notes go."""
        self._caller = caller
        self._refused = refused
        self._engine = engine
        self._tell = tell
        self._told: set[Note] = set()
        self._lock = asyncio.Lock()
        self._policy_read: tuple[Limits, Site] | None = None
        self._host: HostFacts | None = None
        self._gpus = gpus or GpuDesk(caller, engine, tell)
        self._images = Images()
        self._builds = BuildDesk(engine, tell)
        self._logging: set[asyncio.Future[Any]] = set()
        self._log_failed = False

    def leave_queue(self) -> None:
        """Have all requests that wait for GPUs end at once, with nothing made."""
        self._gpus.leave_queue()

    async def close(self) -> None:
        """Leave the queue for GPUs, and wait until all events are written."""
        await self._gpus.close()
        if self._logging:
            await asyncio.wait(self._logging, timeout=10)

    async def judge(self, exchange: Exchange) -> None:
        """Answer or stream one request."""
        try:
            await self._RULES[exchange.route.rule](self, exchange)
        except RefusalError as error:
            name = exchange.route.name or _query(exchange).get("name", "")
            self._log("denied", code=error.code, reason=error.message, container=name)
            self._refused(Exit.REFUSED, error.message, error.hint)
            await exchange.refuse(403, str(error))
        except json_body.MalformedError as error:
            await exchange.refuse(400, str(error))
        except HelperError as error:
            hint = f" (hint: {error.hint})" if error.hint else ""
            self._refused(error.code, error.message, error.hint)
            await exchange.refuse(500, error.message + hint)

    # Snapshots ---------------------------------------------------------------------

    async def _policy(self) -> tuple[Limits, Site]:
        async with self._lock:
            if self._policy_read is None:
                self._policy_read = await asyncio.to_thread(self._load)
            return self._policy_read

    def _load(self) -> tuple[Limits, Site]:
        """Read the configuration. Raises HelperError where it is broken."""
        from ds01.core.settings import load_settings  # noqa: PLC0415
        from ds01.policy.limits import effective_limits, load_policy  # noqa: PLC0415 - with YAML, needed by a create only
        from ds01.policy.users import identify_user  # noqa: PLC0415 - with YAML, needed by a create only

        paths = find_paths()
        settings = load_settings(paths.settings)
        user = identify_user(self._caller.uid)
        self._caller = replace(self._caller, name=user.name)
        now = datetime.now(timezone.utc)
        found = load_policy(paths.policy)
        self._images = found.images
        limits = effective_limits(found, user, now).limits
        own = tuple(str(path) for path in (paths.etc, paths.state, paths.log))
        return limits, Site(cgroup_parent=settings.cgroup_parent, protected=own)

    async def _facts(self, exchange: Exchange) -> HostFacts:
        async with self._lock:
            if self._host is None:
                answer = await exchange.ask("GET", "/info")
                info = answer.json()
                if answer.status != 200 or not isinstance(info, Mapping):
                    raise RefusalError("engine", f"the engine says: {answer.reason}")
                ceilings = await asyncio.to_thread(facts.find_ceilings, self._engine)
                self._host = facts.from_info(info, self._engine, ceilings)
            return self._host

    # Rules -------------------------------------------------------------------------

    async def _create(self, exchange: Exchange) -> None:
        create, unknown = gateway_rewrite.read_create(await exchange.body(BODY_LIMIT))
        limits, site = await self._policy()
        host = await self._facts(exchange)
        sources = confine.bind_sources(create)
        host = replace(host, real_paths=facts.resolve(sources))
        name = _query(exchange).get("name", "").removeprefix("/")

        def rewritten(gpus: Gpus) -> Rewrite:
            return gateway_rewrite.rewrite_create(
                create,
                self._caller,
                limits,
                host,
                site,
                now=datetime.now(timezone.utc),
                gpus=gpus,
                name=name,
                unknown=tuple(unknown),
            )

        if is_helper(create):
            helper = rewritten(NO_GPUS).request
            helper["Labels"] = helper_labels(create, helper)
            await exchange.answer(await exchange.forward(json_body.encode(helper)))
            return
        # Refused for another reason, a request need not wait for GPUs first.
        rewritten(NO_GPUS)
        # Nobody waits for who has left: a client that hangs up leaves the queue.
        with exchange.until_client_leaves():
            reserved = await self._gpus.reserve(create, name)
        # From here on nothing may cut the work short: a client that leaves, or mlc that
        # is killed, must leave neither devices nor containers in between.
        task = asyncio.ensure_future(
            self._make(exchange, rewritten(reserved.gpus), reserved, name)
        )
        self._logging.add(task)
        task.add_done_callback(self._logging.discard)
        await exchange.answer(await asyncio.shield(task))

    async def _make(
        self, exchange: Exchange, rewrite: Rewrite, reserved: Reserved, name: str
    ) -> Answer:
        """Have the engine make the container; return its answer.

        Afterwards the devices are the container's, or free again. Raises Refusal, with
        the container removed, where they became somebody else's meanwhile.
        """
        answer = None
        try:
            for note in rewrite.notes:
                if note.level != "quiet" and note not in self._told:
                    self._told.add(note)
                    self._tell(note.level, note.text)
            answer = await exchange.forward(json_body.encode(rewrite.request))
        finally:
            if answer is None or answer.status != 201:
                await self._gpus.release(reserved, "not-made")
        if answer.status != 201:
            return answer
        made = answer.json()
        identity = made.get("Id", "") if isinstance(made, Mapping) else ""
        if not name:
            found = (await exchange.ask("GET", f"/containers/{identity}/json")).json()
            name = found.get("Name", "") if isinstance(found, Mapping) else ""
            name = name.removeprefix("/")
        try:
            await self._gpus.commit(reserved, identity, name)
        except HelperError:
            await exchange.ask("DELETE", f"/containers/{identity}?v=1")
            raise
        labels: Mapping[str, str] = rewrite.request.get("Labels") or {}
        prefix = "ds01.limit."
        self._log(
            "created",
            container=name,
            name=name.rpartition("._.")[0] or name,
            id=identity,
            image=rewrite.request.get("Image", ""),
            framework=labels.get("aime.mlc.FRAMEWORK", ""),
            gpus=list(reserved.gpus.uuids),
            profiles=[k for k in labels.get("ds01.gpu.profiles", "").split(";") if k],
            limits={
                key.removeprefix(prefix): value
                for key, value in sorted(labels.items())
                if key.startswith(prefix)
            },
            changed=[note.code for note in rewrite.notes],
        )
        return answer

    async def _rename(self, exchange: Exchange) -> None:
        name = _query(exchange).get("name", "").removeprefix("/")
        gateway_rewrite.check_name(name, self._caller)
        await exchange.stream()

    async def _update(self, exchange: Exchange) -> None:
        name = quote(exchange.route.name, safe="")
        answer = await exchange.ask("GET", f"/containers/{name}/json")
        found = answer.json()
        config = found.get("Config") if isinstance(found, Mapping) else None
        labels = (config or {}).get("Labels") or {}
        if answer.status == 200 and "ds01.managed" in labels:
            raise RefusalError(
                "update",
                "limits are set when a container is made and stay as they are: "
                "'docker update' would cut its GPUs off",
                "remove the container and create it anew",
            )
        await exchange.stream()

    async def _exec(self, exchange: Exchange) -> None:
        body, _ = gateway_rewrite.check_exec(await exchange.body(BODY_LIMIT))
        await exchange.answer(await exchange.forward(body))

    async def _start(self, exchange: Exchange) -> None:
        request = exchange.request
        length = request.header(b"content-length") or b"0"
        if request.header(b"transfer-encoding") or length != b"0":
            body = await exchange.body(BODY_LIMIT)
            if body.strip() not in _EMPTY_BODIES:
                raise RefusalError(
                    "start",
                    "a container cannot be given another configuration at its start",
                )
            await exchange.answer(await exchange.forward(b""))
        else:
            await exchange.stream()

    async def _volume(self, exchange: Exchange) -> None:
        body = await exchange.body(BODY_LIMIT)
        _, site = await self._policy()
        real = facts.resolve(gateway_rewrite.volume_sources(body or b"{}"))
        host = replace(await self._facts(exchange), real_paths=real)
        sent, _ = gateway_rewrite.check_volume(body or b"{}", self._caller, host, site)
        await exchange.answer(await exchange.forward(sent))

    async def _build(self, exchange: Exchange) -> None:
        limits, site = await self._policy()
        host = await self._facts(exchange)
        query, notes = build_query(_query(exchange), self._caller, limits, host, site)
        for note in notes:
            self._tell(note.level, note.text)
        target = f"{exchange.route.path}?{urlencode(query)}"
        rules = self._images
        if is_preparation(query, self._caller):
            rules = replace(rules, max_builds=None, min_free_disk=None)
        self._ended(await self._builds.run(exchange, target, rules, host))

    async def _grpc(self, exchange: Exchange) -> None:
        async def prepare() -> tuple[Images, HostFacts]:
            await self._policy()
            return self._images, await self._facts(exchange)

        self._ended(await self._builds.run_grpc(exchange, prepare))

    def _ended(self, failure: HelperError | None) -> None:
        """Say why a build was ended, if one was.

        Its answer has begun: what the client shows cannot be said any more.
        """
        if failure:
            self._log("denied", code="build", reason=failure.message, container="")
            self._refused(failure.code, failure.message, failure.hint)
            self._tell("error", failure.message)

    async def _name(self, exchange: Exchange) -> None:
        """Let an image get or lose a name, but not one that says another user's."""
        query = _query(exchange)
        if exchange.request.method == "DELETE":
            name = exchange.route.name
            found: object = None
            if self._caller.uid:
                path = f"/images/{quote(name, safe='/:@')}/json"
                found = (await exchange.ask("GET", path)).json()
            tags = found.get("RepoTags") if isinstance(found, Mapping) else None
            for each in lost_names(name, tags or ()):
                check_reference(each, self._caller, is_lost=True)
        else:
            name = ":".join(filter(None, (query.get("repo"), query.get("tag"))))
            check_reference(name, self._caller)
        await exchange.stream()

    async def _prune(self, exchange: Exchange) -> None:
        check_prune(_query(exchange).get("filters", ""), self._caller)
        await exchange.stream()

    async def _pull(self, exchange: Exchange) -> None:
        """Pull an image, or say that it is here where the registry has none.

        An image without a digest has never been in a registry: the engine made it.
        """
        query = _query(exchange)
        name, tag = query.get("fromImage", ""), query.get("tag", "")
        check_reference(query.get("repo", ""), self._caller)
        target = f"{exchange.route.path}?{urlencode(query)}"
        if not name or query.get("fromSrc"):
            await exchange.stream(target)
            return
        reference = f"{name}@{tag}" if ":" in tag else f"{name}:{tag}" if tag else name
        local = await exchange.ask(
            "GET", f"/images/{quote(reference, safe='/:@')}/json"
        )
        image = local.json() if local.status == 200 else None
        if not isinstance(image, Mapping) or not _has_platform(image, query):
            await exchange.stream(target)
            return
        if not image.get("RepoDigests"):
            await self._is_local(exchange, name, tag, reference)
            return
        failure = await exchange.stream(target, lambda status: status < 400)
        if failure is None:
            return
        if _UNREACHABLE.search(failure.reason):
            self._tell("info", f"registry not reached: '{reference}' is used as it is")
            await self._is_local(exchange, name, tag, reference)
        elif _UNKNOWN_THERE.search(failure.reason):
            await self._is_local(exchange, name, tag, reference)
        else:
            await exchange.answer(failure)

    async def _is_local(
        self, exchange: Exchange, name: str, tag: str, reference: str
    ) -> None:
        from ds01.gateway.http import respond  # noqa: PLC0415

        lines = (
            {"status": f"Pulling from {name}", "id": tag or "latest"},
            {"status": "ds01: the image is on this server, nothing was pulled"},
            {"status": f"Status: Image is up to date for {reference}"},
        )
        body = b"".join(json_body.encode(line) + b"\r\n" for line in lines)
        await respond(exchange.client, exchange.request.method, 200, body)

    async def _refuse(self, exchange: Exchange) -> None:
        raise RefusalError(
            "swarm",
            f"'{exchange.route.name}' cannot be changed on this server: "
            "what it starts would have no limits",
        )

    _RULES = {  # noqa: RUF012 - a constant
        Rule.CREATE: _create,
        Rule.RENAME: _rename,
        Rule.UPDATE: _update,
        Rule.EXEC: _exec,
        Rule.START: _start,
        Rule.VOLUME: _volume,
        Rule.BUILD: _build,
        Rule.GRPC: _grpc,
        Rule.PULL: _pull,
        Rule.NAME: _name,
        Rule.PRUNE: _prune,
        Rule.REFUSE: _refuse,
    }

    # Events ------------------------------------------------------------------------

    def _log(self, event: str, **fields: object) -> None:
        """Write an event behind the answer's back; failing is told, never fatal."""
        task = asyncio.get_running_loop().create_task(self._write(event, fields))
        self._logging.add(task)
        task.add_done_callback(self._logging.discard)

    async def _write(self, event: str, fields: dict[str, Any]) -> None:
        from ds01.records.event_log import append_event  # noqa: PLC0415

        def append() -> None:
            user, uid = self._caller.name, self._caller.uid
            append_event(event, user=user, uid=uid, by="gateway", **fields)

        try:
            await asyncio.to_thread(append)
        except (HelperError, OSError) as error:
            if not self._log_failed:
                self._log_failed = True
                self._tell("warning", f"the event log cannot be written: {error}")


def _query(exchange: Exchange) -> dict[str, str]:
    """Return a request's parameters as the engine reads them: the first of each.

    Raises MalformedError where the engine might read others.
    """
    query = exchange.route.query
    if exchange.request.is_form:
        # The engine would take parameters from the body, before those of the query.
        raise json_body.MalformedError("parameters in a form body are not accepted")
    if ";" in query:
        # A separator to engines built with an older Go.
        raise json_body.MalformedError("';' in the query is not accepted: write %3B")
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        found.setdefault(key, value)
    return found


def _has_platform(image: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    wanted = query.get("platform", "")
    if not wanted:
        return True
    return wanted.split("/")[:2] == [image.get("Os", ""), image.get("Architecture", "")]
