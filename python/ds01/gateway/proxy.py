"""The gateway's server: takes connections and hands each request to its rule.

`Proxy(listener, engine, judge)` accepts clients on a listening Unix socket. For each
request it asks `judge` (doors.py) and, unless the judge has answered itself,
streams the request to the engine. The protocol is described in http.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket
from collections.abc import Awaitable, Callable, Iterator

from ds01.gateway import http
from ds01.gateway.routes import OddRequestError, Route, Rule, classify

_ACCEPT_AT_ONCE = 64


class Exchange:
    """One client's request, its route, and the means to answer it."""

    def __init__(
        self, client: socket.socket, engine: str, request: http.Request, route: Route
    ) -> None:
        self.client = client
        self.engine = engine
        self.request = request
        self.route = route

    async def body(self, limit: int) -> bytes:
        """Return the request's whole body."""
        return await http.read_body(self.client, self.request, limit)

    @contextlib.contextmanager
    def until_client_leaves(self) -> Iterator[None]:
        """Cancel what is awaited inside when the client hangs up.

        Raises http.ClientGoneError then. Who only ends the sending half is still there.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - there is one wherever this is awaited
        is_gone = False
        # In a set of its own: the socket's place in the event loop is for reading, and
        # what a client sends meanwhile would wake it without end. A hang-up is told
        # whatever is asked for.
        watch = select.epoll()
        watch.register(self.client, 0)

        def leave() -> None:
            nonlocal is_gone
            is_gone = True
            loop.remove_reader(watch.fileno())
            task.cancel()

        loop.add_reader(watch.fileno(), leave)
        try:
            yield
        except asyncio.CancelledError:
            if is_gone:
                raise http.ClientGoneError from None
            raise
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    async def ask(self, method: str, target: str) -> http.Answer:
        """Ask the engine something on the gateway's own behalf."""
        return await http.ask(self.engine, method, target)

    async def forward(self, body: bytes) -> http.Answer:
        """Send the request with another body to the engine; return its answer."""
        return await http.ask(
            self.engine,
            self.request.method,
            self.route.target,
            self.request.headers,
            body,
        )

    async def answer(self, answer: http.Answer) -> None:
        """Hand an answer of the engine to the client."""
        await http.respond(
            self.client,
            self.request.method,
            answer.status,
            answer.body,
            answer.headers,
        )

    async def refuse(self, status: int, message: str) -> None:
        """Answer with an error that the client will show."""
        await http.respond(
            self.client, self.request.method, status, http.error_body(message)
        )

    async def stream(
        self,
        target: str | None = None,
        until: Callable[[int], bool] = lambda status: True,
        gate: http.Gate | None = None,
    ) -> http.Answer | None:
        """Stream the request to the engine, and the engine's answer back.

        Where `until` is false for the status of the answer, nothing has been sent to
        the client, and the answer is returned for the caller to decide. What the
        client sends waits at `gate`.
        """
        request = self.request
        target = target or self.route.target
        head = http.head_bytes(
            request.method,
            target,
            request.headers,
            upgrade=self.route.rule in {Rule.HIJACK, Rule.GRPC},
        )
        engine = await http.connect(self.engine)
        up: http.Pump | None = None
        try:
            up = http.Pump(self.client, engine, head + request.rest, gate)
            begin = b""
            if self.route.rule is Rule.PULL:
                answer, begin = await http.read_answer(
                    engine, request.method, target, request.headers, until
                )
                if answer is not None:
                    return answer
            await http.splice(self.client, engine, up, begin)
            return None
        finally:
            if up:
                up.stop()
            engine.close()


Judge = Callable[[Exchange], Awaitable[None]]


class Proxy:
    """Serves one listening socket until it is closed."""

    def __init__(self, listener: socket.socket, engine: str, judge: Judge) -> None:
        self._listener = listener
        self._engine = engine
        self._judge = judge
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to accept; call this inside the running loop."""
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Accept no more, end all streams, and wait until they have ended."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    raise
                # No descriptor is free: the queue waits until a stream has ended.
                loop.remove_reader(self._listener)
                loop.call_later(0.1, self._resume)
                return
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, http.SEND_BUFFER)
            task = loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def _serve(self, client: socket.socket) -> None:
        with contextlib.closing(client):
            method = "GET"
            try:
                request = await http.read_request(client)
                method = request.method
                route = classify(method, request.target)
                exchange = Exchange(client, self._engine, request, route)
                if route.rule in {Rule.PASS, Rule.HIJACK}:
                    await exchange.stream()
                else:
                    await self._judge(exchange)
            except OddRequestError as error:
                await http.respond(client, method, 400, http.error_body(str(error)))
            except http.BadRequestError as error:
                text = http.error_body(error.message)
                await http.respond(client, method, error.status, text)
            except http.EngineGoneError as error:
                text = http.error_body(
                    f"no Docker engine answers at 'unix://{self._engine}': {error} "
                    "(hint: run 'sudo systemctl start docker', "
                    "or ask the administrator)"
                )
                await http.respond(client, method, 503, text)
            except (http.ClientGoneError, OSError):
                return
            except Exception as error:
                # A mistake of ours must not let a request through, or hang a client.
                text = http.error_body(f"internal error: {error!r}")
                await http.respond(client, method, 500, text)
