"""Threads for plain functions: as many as there is work at a time, reused, gone when closed."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from fairlead.hosts.threads import HandlerThreads

TIMEOUT_S = 10.0


def test_threads_are_made_as_needed_and_reused() -> None:
    """Work that overlaps has threads of its own; work that comes later gets those that are idle."""
    threads = HandlerThreads("test")
    barrier = threading.Barrier(4)

    def meet() -> None:
        barrier.wait(TIMEOUT_S)

    for _ in range(3):
        threads.submit(meet)
    barrier.wait(TIMEOUT_S)
    assert threads.alive == 3

    for _ in range(50):
        done = threading.Event()
        threads.submit(done.set)
        assert done.wait(TIMEOUT_S)
    assert threads.alive <= 4

    threads.close()
    assert threads.alive == 0


@pytest.mark.fault(72)
def test_closing_waits_for_no_one_who_is_busy() -> None:
    """A thread that does not end is left behind, and ends with its work; idle ones are gone at once."""
    threads = HandlerThreads("test")
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(TIMEOUT_S)
        ended.set()

    threads.submit(work)
    threads.submit(lambda: None)
    assert begun.wait(TIMEOUT_S)
    threads.close()
    assert threads.alive == 1

    release.set()
    assert ended.wait(TIMEOUT_S)
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(TIMEOUT_S)
    assert threads.alive == 0


def test_context_variables_come_along(caplog: pytest.LogCaptureFixture) -> None:
    """Work sees the context of who submitted it; an error it lets out costs no thread."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")
    threads = HandlerThreads("test")
    found: list[str] = []
    done = threading.Event()

    def fail() -> None:
        raise SystemExit

    def look() -> None:
        found.append(variable.get())
        done.set()

    threads.submit(fail)
    threads.submit(look)
    assert done.wait(TIMEOUT_S)
    threads.close()
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(TIMEOUT_S)

    assert found == ["seen"]
    assert "nobody handled" in caplog.text


def _refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_work_waits_for_a_thread_where_no_further_one_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs in the next one that is free, in order, and it is said once; later work may have a thread again."""
    threads = HandlerThreads("test")
    release, done = threading.Event(), threading.Event()
    ran: list[int] = []

    def hold() -> None:
        release.wait(TIMEOUT_S)

    threads.submit(hold)
    with monkeypatch.context() as patched:
        _refuse_threads(patched)
        for number in range(3):
            threads.submit(lambda number=number: ran.append(number))  # type: ignore[misc]
        assert threads.alive == 1
    assert caplog.text.count("no further thread") == 1

    release.set()
    threads.submit(done.set)
    assert done.wait(TIMEOUT_S)
    barrier = threading.Barrier(3)

    def meet() -> None:
        barrier.wait(TIMEOUT_S)

    for _ in range(2):
        threads.submit(meet)
    barrier.wait(TIMEOUT_S)
    threads.close()
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(TIMEOUT_S)

    assert ran == [0, 1, 2]
    assert threads.alive == 0


def test_without_a_thread_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind that would run later."""
    threads = HandlerThreads("test")
    ran: list[str] = []
    done = threading.Event()
    with monkeypatch.context() as patched:
        _refuse_threads(patched)
        with pytest.raises(RuntimeError, match="new thread"):
            threads.submit(lambda: ran.append("refused"))
    threads.submit(done.set)
    assert done.wait(TIMEOUT_S)
    threads.close()

    assert not ran


def test_work_that_waits_is_dropped_by_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler must not begin after its host has ended."""
    threads = HandlerThreads("test")
    begun, release = threading.Event(), threading.Event()
    ran: list[str] = []

    def work() -> None:
        begun.set()
        release.wait(TIMEOUT_S)

    threads.submit(work)
    assert begun.wait(TIMEOUT_S)
    _refuse_threads(monkeypatch)
    threads.submit(lambda: ran.append("late"))
    threads.close()
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(TIMEOUT_S)

    assert not ran
    assert threads.alive == 0


async def test_the_loop_gets_what_a_thread_computes() -> None:
    """A result or an error; whoever is cancelled meanwhile is not waited for, and the thread goes on to other work."""
    threads = HandlerThreads("test")
    begun, over, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def slow() -> bool:
        loop.call_soon_threadsafe(begun.set)
        return over.wait(TIMEOUT_S)

    assert await threads.call(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 // 0)
    waiting = asyncio.create_task(threads.call(slow))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    over.set()

    assert await threads.call(lambda: 3) == 3
    threads.close()
    assert threads.alive == 0
