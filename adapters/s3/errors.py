"""What obstore raises becomes the families of `ports.errors`, in this one place; the original is always chained.

obstore tells a few kinds of trouble apart by class and leaves the rest to its text, which carries the HTTP status and
the store's own code. Both are read here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from attrs import frozen

from ...ports.blobs import BlobExists, BlobNotFound
from ...ports.errors import AdapterError, Contention, Unavailable, UnstorableValue, UsageError

INSTALL = "pip install 'fairlead[s3]'"

TEXT_LENGTH_MAX = 500
"""Characters of the store's own words that are passed on."""


class InvalidBlobStore(UsageError):
    """An address or an option of a blob store is none."""


class ObstoreMissing(AdapterError):
    """The library that speaks to object stores is not installed."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"what object stores need is not installed ({problem}): {INSTALL}")


class BlobsRefused(AdapterError):
    """The store answered and will not let us in, or not like this: credentials, permissions, region."""


class BucketMissing(AdapterError):
    """The bucket or container that the blobs should be in does not exist."""


class ListingDisordered(AdapterError):
    """The store lists objects in another order than that of their keys, as S3's directory buckets do."""

    def __init__(self, place: str, before: str, after: str) -> None:
        super().__init__(
            f"{place} lists {after!r} behind {before!r}; blobs need a store that lists by key: a general purpose "
            "bucket of S3, Google Cloud Storage, or Azure without hierarchical namespace"
        )


@frozen
class _Meaning:
    """What a certain trouble is to the port, and what a person can do about it."""

    error: type[AdapterError]
    advice: str


_NO_BUCKET = _Meaning(BucketMissing, "create it, or correct its name")
_REGION = _Meaning(BlobsRefused, "set its region: region=…, or AWS_REGION")
_LACKING = _Meaning(AdapterError, "the store lacks what is asked of it; puts need 'If-None-Match: *'")
_CREDENTIALS = _Meaning(BlobsRefused, "check the credentials, and that this machine's clock is right")

_CODES = {
    "NoSuchBucket": _NO_BUCKET,
    "ContainerNotFound": _NO_BUCKET,
    "ContainerDisabled": _NO_BUCKET,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "ExpiredToken": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "RequestTimeTooSkewed": _CREDENTIALS,
    "NotImplemented": _LACKING,
    "EntityTooLarge": _Meaning(UnstorableValue, "the store takes no blob of this size in one request"),
}
"""By the code in the store's answer."""

_SENTENCES = {
    "redirect without LOCATION": _REGION,
    "invalid peer certificate": _Meaning(BlobsRefused, "trust its authority: client_options={'root_certificate': …}"),
}
"""By what obstore says where no answer of the store has a code. None of it can be part of a key."""

_NO_CREDENTIALS = (
    "no credentials were found, and this machine's metadata service gives none; set them as obstore documents "
    "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY), "
    "or pass credentials=…"
)
_METADATA_SERVICE = re.compile(r"http://(169\.254\.(169\.254|170\.2)|metadata\.google\.internal|\[?fd00:ec2::254)")

_STATUS = re.compile(r"status code: (\d{3})")
_TRANSIENT_STATUSES = frozenset({"408", "425", "429"})
_TRANSIENT_CODES = frozenset({"RequestTimeout", "SlowDown", "ServerBusy", "OperationAborted"})
_CODE = re.compile(r"<Code>(\w+)</Code>")
_REASON = re.compile(r'(?:message|error): "([^"]+)"|source: TimedOut')
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")


@contextmanager
def translated(place: str, key: str | None = None) -> Generator[None]:
    """Translate what obstore raises inside the block.

    Args:
        place: the store's address, for messages.
        key: the blob that is asked for, if it is one.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    # Of Python's own errors obstore raises FileNotFoundError for a missing blob, NotImplementedError for what a store
    # lacks or was told not to do.
    except (BaseError, OSError, NotImplementedError) as error:  # recovers 61: the object store refuses or fails
        raise translate(error, place, key) from error


def translate(error: Exception, place: str, key: str | None) -> AdapterError:
    """The error of the port that stands for one of obstore's."""
    from obstore import exceptions as obs

    text = str(error)
    told = f"{place}: {_told(text)}"
    meaning = _LACKING if isinstance(error, NotImplementedError) else _meaning(text)
    if meaning is not None:
        return meaning.error(f"{told}; {meaning.advice}")
    if isinstance(error, obs.AlreadyExistsError):
        return BlobExists(f"there is a blob under {key!r} already")
    if isinstance(error, FileNotFoundError):
        return BlobNotFound(f"there is no blob under {key!r}")
    if isinstance(error, obs.PermissionDeniedError | obs.UnauthenticatedError):
        return BlobsRefused(f"{told}; check the credentials, and that they may read, write, delete and list there")
    if isinstance(error, obs.PreconditionError):
        return Contention(f"{told}; the blob was replaced while it was read")
    if isinstance(error, obs.GenericError):
        return _generic(text, told)
    return AdapterError(told)


def _meaning(text: str) -> _Meaning | None:
    code = _code(text)
    if code in _CODES:
        return _CODES[code]
    return next((meaning for sentence, meaning in _SENTENCES.items() if sentence in text), None)


def _code(text: str) -> str:
    found = _CODE.search(text)
    return "" if found is None else found[1]


def _generic(text: str, told: str) -> AdapterError:
    found = _STATUS.search(text)
    status = None if found is None else found[1]
    answered = status is not None and status.startswith("4") and status not in _TRANSIENT_STATUSES
    if _METADATA_SERVICE.search(text):
        return BlobsRefused(f"{told}; {_NO_CREDENTIALS}", retryable=not answered)
    if answered and _code(text) not in _TRANSIENT_CODES:
        return AdapterError(told)
    return Unavailable(told)


def _told(text: str) -> str:
    """obstore's first line without queries of addresses, and behind it the answer's code, or why there is none."""
    line = " ".join(text.partition("\n\nDebug source")[0].partition("<?xml")[0].split()).rstrip(": ")
    line = _QUERY.sub(r"\1?…", line)[:TEXT_LENGTH_MAX]
    reasons = [_code(text), *(found[1] or "no answer in time" for found in _REASON.finditer(text))]
    reason = next(filter(None, reasons), None)
    return f"{line} ({reason})" if reason else line
