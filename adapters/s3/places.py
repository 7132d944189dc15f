"""Where blobs are: addresses such as `s3://bucket/prefix`, and the obstore stores that reach them.

Nothing is connected here: obstore connects with the first request, and looks for credentials then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import frozen

from ...ports.blobs import InvalidBlobKey, check_blob_key
from .errors import InvalidBlobStore, ObstoreMissing

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

Credentials: TypeAlias = Callable[[], Mapping[str, object] | Coroutine[Any, Any, Mapping[str, object]]]
"""Called for credentials when they are needed, as obstore's `credential_provider`."""

SCHEMES = ("s3", "gs", "az", "file", "memory")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
"""What every store's rule for buckets and containers is a part of."""

_ENDPOINT = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_ENDPOINT_OPTIONS = ("endpoint", "aws_endpoint_url_s3", "base_url")
_ENDPOINT_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""From where obstore takes a store's address besides; whoever writes http:// there means it."""

BACKOFF_S_MAX = 3.0
"""The longest pause between two tries of a request."""

RETRIES_MAX = 1000
"""Of no weight: time bounds how long obstore tries again."""

_OWN_CLIENT_OPTIONS = {"timeout": "request_timeout_s", "allow_http": "an endpoint that begins with http://"}
"""What is not given through `client_options`, because it is said otherwise."""


@frozen(kw_only=True)
class Address:
    """An address, taken apart."""

    scheme: str
    bucket: str
    """The bucket or container; empty for a folder and for memory."""
    account: str
    """Azure's storage account, where the address names one."""
    path: str
    """The prefix of all keys in the bucket without slashes at its ends, or the folder."""
    options: Mapping[str, str]

    @property
    def place(self) -> str:
        """The address without its options, for people."""
        return f"{self.scheme}://" + "/".join(part for part in (self.account, self.bucket, self.path) if part)


@frozen(kw_only=True)
class Reach:
    """How a store is reached: what obstore is told besides the address."""

    options: Mapping[str, object]
    client_options: Mapping[str, object]
    credentials: Credentials | None
    retry_for_s: float


def parse_address(url: str) -> Address:
    """Take an address apart.

    Raises:
        InvalidBlobStore: it is none.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise InvalidBlobStore(f"{_shown(url)} is no address of blobs: {error}") from error
    scheme = parts.scheme
    if scheme not in SCHEMES:
        raise InvalidBlobStore(
            f"{_shown(url)} is no address of blobs: expected s3://bucket/prefix, gs://bucket/prefix, "
            "az://account/container/prefix or file:///folder"
        )
    if scheme in ("file", "memory"):
        return _local(url, scheme, parts.netloc, unquote(parts.path), options)
    account, rest = (parts.netloc, parts.path.strip("/")) if scheme == "az" else ("", "")
    bucket, _, path = rest.partition("/") if account else (parts.netloc, "", parts.path.strip("/"))
    return Address(scheme=scheme, bucket=bucket, account=account, path=path, options=options)


def store_opener(address: Address, reach: Reach) -> Callable[[float], ObjectStore]:
    """What makes the stores of obstore's at an address: called with the seconds that one request may take.

    They open nothing before they are used.

    Args:
        address: of a bucket, or memory, which is the same however often it is opened.
        reach: how to get there.

    Raises:
        InvalidBlobStore: the address or an option is none; options are checked by the opener.
        ObstoreMissing: the extra is not installed.
    """
    with _importing():
        from obstore.store import MemoryStore
    if address.scheme == "memory":
        if reach.options or reach.client_options or reach.credentials:
            raise InvalidBlobStore(f"{address.place}: memory has no options and no credentials")
        memory = MemoryStore()
        return lambda _: memory
    _check(address, reach)
    return partial(_open, address, reach)


def check_times(address: Address, **times_s: float) -> None:
    """Refuse times that are none.

    Raises:
        InvalidBlobStore: one is negative, zero, infinite or NaN.
    """
    for name, time_s in times_s.items():
        if not 0 < time_s < float("inf"):
            raise InvalidBlobStore(f"{address.place}: {name} must be a number of seconds above 0, not {time_s!r}")


def _open(address: Address, reach: Reach, request_timeout_s: float) -> ObjectStore:
    from obstore import store as obs

    stores = {"s3": obs.S3Store, "gs": obs.GCSStore, "az": obs.AzureStore}
    given: dict[str, Any] = {
        "prefix": address.path or None,
        "config": {**_own_options(address), **reach.options},
        "client_options": _client(address, reach, request_timeout_s),
        "retry_config": _retry(reach.retry_for_s),
        "credential_provider": reach.credentials,
    }
    with _refusing(address):
        store: ObjectStore = stores[address.scheme](address.bucket, **given)
        return store


def _own_options(address: Address) -> Mapping[str, object]:
    if address.scheme == "s3":
        # Every store that speaks like S3 deletes one object; not all have the bulk request, which obstore prefers.
        return {"disable_bulk_delete": True}
    return {"account_name": address.account} if address.account else {}


def _local(url: str, scheme: str, host: str, path: str, options: Mapping[str, str]) -> Address:
    if host not in ("", "localhost") or options or (scheme == "file" and not path.startswith("/")):
        raise InvalidBlobStore(f"{_shown(url)} is no address of blobs: expected file:///folder, with nothing before it")
    return Address(scheme=scheme, bucket="", account="", path=path if scheme == "file" else "", options={})


def _check(address: Address, reach: Reach) -> None:
    """Refuse what obstore would accept and fail of later, at its worst with a panic."""
    if not _BUCKET.fullmatch(address.bucket):
        raise InvalidBlobStore(f"{address.place}: {address.bucket!r} is no name of a bucket")
    if address.path:
        try:
            check_blob_key(address.path)
        except InvalidBlobKey as error:
            raise InvalidBlobStore(f"{address.place}: the prefix must be like a key: {error.problem}") from error
    for name in _ENDPOINT_OPTIONS:
        endpoint = reach.options.get(name)
        if endpoint is not None and not _ENDPOINT.fullmatch(str(endpoint)):
            raise InvalidBlobStore(f"{address.place}: {name} must be like https://host:port, not {endpoint!r}")
    for name, instead in _OWN_CLIENT_OPTIONS.items():
        if name in reach.client_options:
            raise InvalidBlobStore(f"{address.place}: {name!r} is said by {instead}, not in client_options")


def _client(address: Address, reach: Reach, request_timeout_s: float) -> ClientConfig:
    named = [reach.options.get(option) for option in _ENDPOINT_OPTIONS]
    known = [os.environ.get(variable) for variable in _ENDPOINT_VARIABLES[address.scheme]]
    endpoint = next((str(each) for each in (*named, *known) if each), "https://")
    plain = endpoint.startswith("http://") or "use_emulator" in reach.options
    ours = {"timeout": timedelta(seconds=request_timeout_s), "allow_http": plain}
    return {**reach.client_options, **ours}  # type: ignore[typeddict-item]


def _retry(retry_for_s: float) -> RetryConfig:
    backoff_s_max = min(BACKOFF_S_MAX, retry_for_s)
    return {
        "max_retries": RETRIES_MAX,
        "retry_timeout": timedelta(seconds=retry_for_s),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=backoff_s_max), "base": 2},
    }


@contextmanager
def _importing() -> Generator[None]:
    try:
        yield
    except ImportError as error:
        raise ObstoreMissing(str(error).partition("\n")[0]) from error


@contextmanager
def _refusing(address: Address) -> Generator[None]:
    """Translate what obstore says of options that it does not take."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, ValueError, TypeError) as error:
        line = str(error).partition("\n")[0]
        raise InvalidBlobStore(f"{address.place}: {line}") from error


def _shown(url: str) -> str:
    """An address without its options, which may be secret."""
    return repr(url.partition("?")[0])
