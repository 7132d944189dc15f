"""Servers that speak S3 over HTTP, for a test run: processes of their own on ports of this machine, no container."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from fairlead.adapters.s3 import ObjectBlobs, s3_blobs

from .servers import free_port, running

BUCKET = "blobs"
KEYS = {"access_key_id": "test", "secret_access_key": "test"}

START_TIMEOUT_S = 60.0


@frozen
class S3Server:
    """A server that runs, with a bucket in it."""

    endpoint: str

    def blobs(self, prefix: str = "", *, endpoint: str | None = None, **arguments: object) -> ObjectBlobs:
        """A blob store in its bucket.

        Args:
            prefix: of all keys.
            endpoint: something else that leads to the server.
            arguments: more of `s3_blobs`.
        """
        reached = self.endpoint if endpoint is None else endpoint
        return s3_blobs(BUCKET, prefix=prefix, endpoint=reached, options=KEYS, **arguments)  # type: ignore[arg-type]


@contextmanager
def ministack() -> Generator[S3Server]:
    """ministack; left to itself it would listen on all of the machine's interfaces."""
    port = free_port()
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}
    with _serving([_program("ministack")], port, settings) as server:
        yield server


@contextmanager
def moto() -> Generator[S3Server]:
    """moto's server: another reading of the same documentation."""
    port = free_port()
    with _serving([_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)], port, {}) as server:
        yield server


@contextmanager
def _serving(command: Sequence[str], port: int, settings: Mapping[str, str]) -> Generator[S3Server]:
    with running(command, settings) as process:
        endpoint = f"http://127.0.0.1:{port}"
        _make_bucket(process, f"{endpoint}/{BUCKET}")
        yield S3Server(endpoint)


def _make_bucket(process: subprocess.Popen[bytes], url: str) -> None:
    """Ask until the server is there to answer."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=START_TIMEOUT_S).close()
            return
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert process.poll() is None, f"{url}: its server ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{url}: its server does not answer"
            time.sleep(0.05)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
