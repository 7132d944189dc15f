"""Blobs in object stores (S3 and what speaks like it, Google Cloud Storage, Azure), through obstore, and in a folder.

Overview. `object_blobs(url)` makes the blob store that an address names; `s3_blobs` and `folder_blobs` do the same with
arguments. Nothing is connected, and no credentials are looked for, before a blob is asked for.

    s3://bucket/prefix               gs://bucket/prefix        az://account/container/prefix
    file:///var/lib/app/blobs        memory://

A key is the name of its object, behind the prefix. An address may carry options of obstore's as a query:
`s3://bucket/prefix?region=eu-central-1&endpoint=http://127.0.0.1:9000`. Secrets do not belong there; they are taken
from the environment, as obstore documents it (`AWS_ACCESS_KEY_ID`, …), from the machine's own identity, or from a
function given as `credentials`.

Written once. A put is one request, which the store refuses where the key is taken (`If-None-Match: *`). Whatever is
lost on the way, the put that stored a blob is told so, and nobody else: an object carries the mark of its put.

Failure. obstore repeats what can be repeated, for `retry_for_s` at most: answers of 5xx, 429 and 408, lost connections,
and requests without an answer where repeating them is harmless. What goes on failing is `Unavailable`, which is
retryable. Refused credentials, a missing bucket or a wrong region are not, and say what to do.

Integrity. S3 checks what it receives against the SHA-256 that every put is signed with; what is received is checked
against the length that the store promised. That it is what was once written, payloads check by their digests.

Time. `modified_at` is the store's, on S3 in whole seconds; whoever goes by age adds a generous grace.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from .blobs import ObjectBlobs
from .errors import BlobsRefused, BucketMissing, InvalidBlobStore, ListingDisordered, ObstoreMissing
from .folder import FolderBlobs
from .places import Address, Credentials, Reach, check_times, parse_address, store_opener

REQUEST_TIMEOUT_S = 30.0
"""Enough for 32 MiB at 1 MB/s."""

RETRY_FOR_S = 15.0
"""Enough for a store that is busy for a moment. Whoever asks tries again where that is worth it."""


def object_blobs(
    url: str,
    *,
    options: Mapping[str, object] | None = None,
    client_options: Mapping[str, object] | None = None,
    credentials: Credentials | None = None,
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    retry_for_s: float = RETRY_FOR_S,
) -> ObjectBlobs | FolderBlobs:
    """The blob store at an address.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`, `file:///folder`, or `memory://`
            for one that is gone with its process. Options may follow as a query.
        options: obstore's for that store (`region`, `endpoint`, …); they win over those in the address.
        client_options: obstore's for its HTTP client (`proxy_url`, `root_certificate`, …).
        credentials: called for credentials when they are needed, as obstore's `credential_provider`.
        request_timeout_s: how long one request may take, for a blob of up to 32 MiB; twice as long for twice the size.
        retry_for_s: how long failed requests are repeated.

    Raises:
        InvalidBlobStore: the address or an option is none.
        ObstoreMissing: obstore is not installed, which all but a folder need.
    """
    address = parse_address(url)
    check_times(address, request_timeout_s=request_timeout_s, retry_for_s=retry_for_s)
    if address.scheme == "file":
        if any(given is not None for given in (options, client_options, credentials)):
            raise InvalidBlobStore(f"{address.place}: a folder has no options and no credentials")
        return folder_blobs(address.path)
    reach = Reach(
        options={**address.options, **(options or {})},
        client_options=client_options or {},
        credentials=credentials,
        retry_for_s=retry_for_s,
    )
    return _blobs_at(address, reach, request_timeout_s)


def s3_blobs(
    bucket: str,
    *,
    prefix: str = "",
    region: str | None = None,
    endpoint: str | None = None,
    options: Mapping[str, object] | None = None,
    client_options: Mapping[str, object] | None = None,
    credentials: Credentials | None = None,
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    retry_for_s: float = RETRY_FOR_S,
) -> ObjectBlobs:
    """The blob store in a bucket of S3, or of a store that speaks like it (MinIO, R2, Ceph, …).

    Args:
        bucket: its name.
        prefix: what comes before every key, without a slash at its end.
        region: the bucket's; where None, `AWS_REGION`, else us-east-1.
        endpoint: where the store is, if not Amazon's: `https://host:port`, or `http://` for one without TLS.
        options: more of obstore's `S3Config`, such as `virtual_hosted_style_request` or `server_side_encryption`.
        client_options: as for `object_blobs`.
        credentials: as for `object_blobs`; a profile of ~/.aws needs `obstore.auth.boto3.Boto3CredentialProvider()`.
        request_timeout_s: as for `object_blobs`.
        retry_for_s: as for `object_blobs`.

    Raises:
        InvalidBlobStore: a name or an option is none.
        ObstoreMissing: obstore is not installed.
    """
    named = {"region": region, "endpoint": endpoint}
    reach = Reach(
        options={**(options or {}), **{name: value for name, value in named.items() if value is not None}},
        client_options=client_options or {},
        credentials=credentials,
        retry_for_s=retry_for_s,
    )
    address = Address(scheme="s3", bucket=bucket, account="", path=prefix, options={})
    check_times(address, request_timeout_s=request_timeout_s, retry_for_s=retry_for_s)
    return _blobs_at(address, reach, request_timeout_s)


def folder_blobs(folder: str | PathLike[str]) -> FolderBlobs:
    """The blob store in a folder of this machine, which is made with its first blob. Nothing else may be kept in it."""
    return FolderBlobs(Path(folder))


def _blobs_at(address: Address, reach: Reach, request_timeout_s: float) -> ObjectBlobs:
    return ObjectBlobs(
        address.place,
        store_opener(address, reach),
        request_timeout_s=request_timeout_s,
        retry_for_s=reach.retry_for_s,
    )


__all__ = [
    "BlobsRefused",
    "BucketMissing",
    "FolderBlobs",
    "InvalidBlobStore",
    "ListingDisordered",
    "ObjectBlobs",
    "ObstoreMissing",
    "folder_blobs",
    "object_blobs",
    "s3_blobs",
]
