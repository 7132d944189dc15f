"""Starting, signalling and cancelling without an event loop: for callers that block, on connections that do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from attrs import evolve

from ...ports import CallerConnection, Ports
from ...ports.blobs import BlobStore
from ...ports.clock import Clock
from ...ports.notes import AnnotationValue
from ...ports.persistence import Persistence
from ..definition import Flow, Step
from ..dispatch.joining import callers_of
from ..runs import RunHandle
from .commanding import Commanding
from .deferred import Deferred

if TYPE_CHECKING:
    from ..kernel import Kernel

T = TypeVar("T")
Result = TypeVar("Result")


class Blocking(Commanding):
    """What a kernel does on a caller's connection that blocks.

    Any thread may call these, at any time, whether or not the kernel is used in an event loop elsewhere. The statement
    is sent by the calling thread. The first call of a process also registers the kernel's flows, and a call with a
    large payload writes blobs, over a connection that is opened for it. Nothing wakes the hosts: they find what was put
    down when they look next, within their `poll_interval`. Handles are read as ever, in an event loop.
    """

    @overload
    def start_sync(
        self,
        flow: Flow[T],
        input: T,
        *,
        connection: CallerConnection,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunHandle: ...
    @overload
    def start_sync(
        self,
        flow: str,
        input: object,
        *,
        connection: CallerConnection,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunHandle: ...
    def start_sync(
        self,
        flow: Flow[Any] | str,
        input: object,
        *,
        connection: CallerConnection,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunHandle:
        """As `start` on a connection, for a thread without an event loop.

        Args:
            connection: a connection or session that blocks, in the transaction which the run is to join.
            flow, input, key, priority, config, annotations: as for `start`.

        Raises:
            InvalidConnection: the connection is asynchronous, or this thread runs an event loop; await `start` there.
            UsageError, AdapterError: as for `start`.
        """
        started = self._blocking(
            connection,
            lambda kernel: kernel.start(
                flow,
                input,
                key=key,
                priority=priority,
                config=config,
                annotations=annotations,
                connection=connection,
            ),
        )
        return self.handle_of(started.id, created=started.created)

    @overload
    def request_signal_sync(
        self, run_id: str, step: Step[T], payload: T, *, connection: CallerConnection, key: str | None = None
    ) -> Deferred: ...
    @overload
    def request_signal_sync(
        self,
        run_id: str,
        step: Step[None],
        payload: None = None,
        *,
        connection: CallerConnection,
        key: str | None = None,
    ) -> Deferred: ...
    @overload
    def request_signal_sync(
        self, run_id: str, step: str, payload: object = None, *, connection: CallerConnection, key: str | None = None
    ) -> Deferred: ...
    def request_signal_sync(
        self,
        run_id: str,
        step: Step[Any] | str,
        payload: object = None,
        *,
        connection: CallerConnection,
        key: str | None = None,
    ) -> Deferred:
        """As `request_signal`, for a thread without an event loop.

        Args:
            run_id, step, payload, key: as for `request_signal`.
            connection: as for `start_sync`.

        Raises:
            InvalidConnection: as for `start_sync`.
            UsageError, AdapterError: as for `request_signal`.
        """
        return self._owned(
            self._blocking(
                connection, lambda kernel: kernel.request_signal(run_id, step, payload, key=key, connection=connection)
            )
        )

    def request_cancel_sync(self, run_id: str, *, connection: CallerConnection, reason: str | None = None) -> Deferred:
        """As `request_cancel`, for a thread without an event loop.

        Args:
            run_id, reason: as for `request_cancel`.
            connection: as for `start_sync`.

        Raises:
            InvalidConnection: as for `start_sync`.
            UsageError, AdapterError: as for `request_cancel`.
        """
        return self._owned(
            self._blocking(
                connection, lambda kernel: kernel.request_cancel(run_id, connection=connection, reason=reason)
            )
        )

    def _blocking(self, connection: CallerConnection, act: Callable[[Kernel], Coroutine[Any, Any, Result]]) -> Result:
        def over(persistence: Persistence, blobs: BlobStore, clock: Clock) -> Coroutine[Any, Any, Result]:
            return act(self._over(evolve(self.ports, persistence=persistence, blobs=blobs, clock=clock)))

        return callers_of(self.ports.callers).blocking(connection, over)

    def _owned(self, deferred: Deferred) -> Deferred:
        """A handle that outlives the call, in place of one over ports that are closed."""
        return Deferred(self, deferred.record, created=deferred.created)

    @abstractmethod
    def _over(self, ports: Ports) -> Kernel:
        """The same kernel over other handles on the same store."""
