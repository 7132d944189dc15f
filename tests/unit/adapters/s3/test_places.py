"""Addresses of blobs, and what is refused of them before anything is connected."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from fairlead.adapters.s3 import InvalidBlobStore, object_blobs, s3_blobs
from fairlead.adapters.s3.places import parse_address
from fairlead.ports.errors import UsageError

ADDRESSES: dict[str, tuple[str, str, str, str, dict[str, str]]] = {
    "s3://bucket": ("s3", "", "bucket", "", {}),
    "s3://bucket/": ("s3", "", "bucket", "", {}),
    "s3://bucket/a/b/": ("s3", "", "bucket", "a/b", {}),
    "s3://my.bucket-1/a?region=eu-central-1&endpoint=http://127.0.0.1:9000": (
        "s3",
        "",
        "my.bucket-1",
        "a",
        {"region": "eu-central-1", "endpoint": "http://127.0.0.1:9000"},
    ),
    "gs://bucket/a": ("gs", "", "bucket", "a", {}),
    "az://account/container": ("az", "account", "container", "", {}),
    "az://account/container/a/b": ("az", "account", "container", "a/b", {}),
    "file:///var/lib/my%20blobs": ("file", "", "", "/var/lib/my blobs", {}),
    "file://localhost/blobs": ("file", "", "", "/blobs", {}),
    "memory://": ("memory", "", "", "", {}),
}


@pytest.mark.parametrize(("url", "parts"), ADDRESSES.items(), ids=ADDRESSES)
def test_an_address_is_taken_apart(url: str, parts: tuple[object, ...]) -> None:
    """Into where, and what obstore is told besides."""
    found = parse_address(url)

    assert (found.scheme, found.account, found.bucket, found.path, found.options) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "/var/lib/blobs",
        "./blobs",
        "http://bucket/prefix",
        "https://bucket.s3.amazonaws.com",
        "s3:bucket",
        "s3://",
        "s3:///prefix",
        "s3://b",
        "s3://bu cket",
        "s3://bucket/a//b",
        "s3://bucket/a/../b",
        "s3://bucket/a%20b",
        "s3://bucket/" + "x" * 201,
        "s3://bucket?endpoint=nonsense",
        "s3://bucket?endpoint=ftp://host",
        "s3://bucket?endpoint",
        "s3://bucket?colour=green",
        "s3://bucket?virtual_hosted_style_request=maybe",
        "s3://[bucket",
        "gs://",
        "az://account",
        "az:///container",
        "file://relative",
        "file://host/folder",
        "file:relative",
        "file:///folder?region=x",
        "memory://name",
        "memory://?region=x",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    """Before anything is connected, as the caller's fault; what obstore would panic at, too."""
    with pytest.raises(InvalidBlobStore) as caught:
        object_blobs(url)

    assert isinstance(caught.value, UsageError)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"options": {"colour": "green"}}, "'colour'"),
    "endpoint": ({"endpoint": "localhost:9000"}, "endpoint must be like https://host:port, not 'localhost:9000'"),
    "prefix": ({"prefix": "/a"}, "the prefix must be like a key"),
    "timeout among the client's": ({"client_options": {"timeout": "3s"}}, "'timeout' is said by request_timeout_s"),
    "http among the client's": ({"client_options": {"allow_http": True}}, "an endpoint that begins with http://"),
    "no time for a request": ({"request_timeout_s": 0}, "request_timeout_s must be a number of seconds above 0"),
    "no number": ({"retry_for_s": float("nan")}, "retry_for_s must be a number of seconds above 0, not nan"),
    "no end": ({"retry_for_s": float("inf")}, "retry_for_s must be a number of seconds above 0, not inf"),
}


@pytest.mark.parametrize(("arguments", "told"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_wrong_option_is_refused(arguments: dict[str, Any], told: str) -> None:
    """With what was expected instead; nothing is accepted and ignored."""
    with pytest.raises(InvalidBlobStore) as caught:
        s3_blobs("bucket", **arguments)

    assert told in str(caught.value)
    assert str(caught.value).startswith("s3://bucket")


@pytest.mark.parametrize("url", ["file:///folder", "memory://"])
@pytest.mark.parametrize(
    "arguments", [{"options": {"region": "x"}}, {"client_options": {"proxy_url": "http://p"}}, {"credentials": dict}]
)
def test_what_no_bucket_is_has_no_options(url: str, arguments: dict[str, Any]) -> None:
    """Rather than that they are ignored."""
    with pytest.raises(InvalidBlobStore):
        object_blobs(url, **arguments)


def test_options_of_the_address_are_not_told() -> None:
    """They may be secret."""
    with pytest.raises(InvalidBlobStore) as caught:
        object_blobs("s4://bucket?secret_access_key=SECRET")

    assert "SECRET" not in str(caught.value)


def test_arguments_win_over_the_address() -> None:
    """What the program says is nearer than what its configuration says."""
    with pytest.raises(InvalidBlobStore) as caught:
        object_blobs("s3://bucket?endpoint=http://127.0.0.1:9000", options={"endpoint": "nonsense"})

    assert "nonsense" in str(caught.value)


def test_a_folder_needs_no_library() -> None:
    """obstore is imported where it is used, and said to be missing where it is."""
    program = (
        "import sys\n"
        "import fairlead.adapters.s3 as s3\n"
        "print('obstore' in sys.modules)\n"
        "sys.modules['obstore'] = None\n"
        "print(type(s3.object_blobs('file:///folder')).__name__)\n"
        "for make in (lambda: s3.object_blobs('s3://bucket'), lambda: s3.s3_blobs('bucket')):\n"
        "    try: make()\n"
        "    except s3.ObstoreMissing as error: print(error)\n"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    before, made, *refused = found.splitlines()
    assert (before, made) == ("False", "FolderBlobs")
    assert [line.partition(" (")[0] for line in refused] == 2 * ["what object stores need is not installed"]
    assert [line.partition("): ")[2] for line in refused] == 2 * ["pip install 'fairlead[s3]'"]
