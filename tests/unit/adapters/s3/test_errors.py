"""What a store refuses, and what a person is told to do about it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from fairlead.adapters.s3 import BlobsRefused, BucketMissing, ListingDisordered, ObjectBlobs, object_blobs, s3_blobs
from fairlead.adapters.s3.errors import translate
from fairlead.ports.errors import AdapterError, Unavailable, UnstorableValue
from tests.support.blob_subjects import ASKED, Ask
from tests.support.http_faults import Fault, FaultyProxy
from tests.support.s3_servers import KEYS, S3Server


@pytest.mark.parametrize("server", ["ministack", "moto"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_a_missing_bucket_is_no_missing_blob(request: pytest.FixtureRequest, server: str, ask: Ask) -> None:
    """Every method says which it is; nobody takes a wrong name for a store without blobs."""
    found: S3Server = request.getfixturevalue(server)
    blobs = s3_blobs("nowhere", prefix="a/b", endpoint=found.endpoint, options=KEYS)

    with pytest.raises(BucketMissing) as caught:
        await ask(blobs)

    assert not caught.value.retryable
    assert str(caught.value).startswith("s3://nowhere/a/b: ")
    assert str(caught.value).endswith("(NoSuchBucket); create it, or correct its name")


REFUSALS = {
    "unknown key": (403, "InvalidAccessKeyId", BlobsRefused, "check the credentials"),
    "forbidden": (403, "AccessDenied", BlobsRefused, "may read, write, delete and list"),
    "not authenticated": (401, "Unauthorized", BlobsRefused, "check the credentials"),
    "expired": (400, "ExpiredToken", BlobsRefused, "check the credentials"),
    "clock": (403, "RequestTimeTooSkewed", BlobsRefused, "this machine's clock"),
    "region": (400, "AuthorizationHeaderMalformed", BlobsRefused, "set its region"),
    "moved": (301, "PermanentRedirect", BlobsRefused, "set its region"),
    "too large": (400, "EntityTooLarge", UnstorableValue, "no blob of this size"),
    "anything else": (400, "InvalidRequest", AdapterError, "(InvalidRequest)"),
}


@pytest.mark.parametrize(("status", "code", "error", "advice"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_final_and_says_what_to_do(
    behind: ObjectBlobs, proxy: FaultyProxy, status: int, code: str, error: type[AdapterError], advice: str
) -> None:
    """It is asked once: the same would be refused again."""
    proxy.plan([Fault(status=status, code=code)])

    with pytest.raises(error) as caught:
        await behind.put("key", b"data")

    assert type(caught.value) is error
    assert not caught.value.retryable
    assert caught.value.__cause__ is not None
    assert advice in str(caught.value)
    assert proxy.requests == ["PUT"]


async def test_a_store_without_conditional_writes_is_refused(
    reached: Callable[[float, float], ObjectBlobs], proxy: FaultyProxy
) -> None:
    """Rather than that two writers might both believe in their success."""
    blobs = reached(20.0, 0.2)
    proxy.plan([Fault(status=501, code="NotImplemented")] * 100)

    with pytest.raises(AdapterError) as caught:
        await blobs.put("key", b"data")

    assert not caught.value.retryable
    assert "If-None-Match" in str(caught.value)
    proxy.plan([])


async def test_a_store_that_is_told_to_write_without_conditions_is_refused() -> None:
    """By its client, before anything is asked: the error says the same as for a store that cannot."""
    blobs = s3_blobs("bucket", endpoint="http://127.0.0.1:9", options={**KEYS, "conditional_put": "disabled"})

    with pytest.raises(AdapterError) as caught:
        await blobs.put("key", b"data")

    assert not caught.value.retryable
    assert "If-None-Match" in str(caught.value)


async def test_the_names_of_keys_mean_nothing(behind: ObjectBlobs, proxy: FaultyProxy) -> None:
    """An error is read from what the store says, not from the key that it names."""
    key = "NoSuchBucket/TimedOut/169.254.169.254/EntityTooLarge"
    proxy.plan([Fault(status=400, code="InvalidRequest")])

    with pytest.raises(AdapterError) as caught:
        await behind.get(key)

    assert type(caught.value) is AdapterError


@pytest.mark.fault(61)
async def test_nobody_at_the_address_is_retryable() -> None:
    """The store may come back."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        blobs = s3_blobs("bucket", endpoint=endpoint, options=KEYS, retry_for_s=0.1)

        with pytest.raises(Unavailable) as caught:
            await blobs.get("key")

    assert caught.value.retryable
    assert str(caught.value).endswith("(Connection refused)")


async def test_the_environment_leads_to_a_store(
    monkeypatch: pytest.MonkeyPatch, ministack: S3Server, prefix: str
) -> None:
    """As obstore documents it: address and credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    blobs = object_blobs(f"s3://blobs/{prefix}")

    await blobs.put("key", b"data")

    assert await blobs.get("key") == b"data"


async def test_credentials_come_from_a_function_where_one_is_given(ministack: S3Server, prefix: str) -> None:
    """It is called when they are needed, not before."""
    calls: list[str] = []

    def credentials() -> dict[str, object]:
        calls.append("called")
        return {"access_key_id": "test", "secret_access_key": "test", "token": None, "expires_at": None}

    blobs = s3_blobs("blobs", prefix=prefix, endpoint=ministack.endpoint, credentials=credentials)
    before = len(calls)
    await blobs.put("key", b"data")

    assert (before, len(calls)) == (0, 1)


def failure(text: str) -> AdapterError:
    """What stands for an error of obstore's with this text."""
    from obstore.exceptions import GenericError

    return translate(GenericError(text), "s3://bucket", "key")


def test_missing_credentials_are_told_as_such() -> None:
    """obstore's last resort is the machine's metadata service, of which nobody who runs a laptop has heard."""
    request = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1ms - "
    refused = failure(f"{request}Server returned non-2xx status code: 404 Not Found: ")
    silent = failure(f"{request}HTTP error: error sending request")

    assert "no credentials were found" in str(refused)
    assert (type(refused), refused.retryable) == (BlobsRefused, False)
    assert (type(silent), silent.retryable) == (BlobsRefused, True)


def test_secrets_in_addresses_are_not_told() -> None:
    """Azure's signatures are part of the address of a request."""
    error = failure(
        "Generic MicrosoftAzure error: Error performing GET https://a.net/c/key?sv=1&sig=SECRET in 1s - gone"
    )

    assert str(error) == (
        "s3://bucket: Generic MicrosoftAzure error: Error performing GET https://a.net/c/key?… in 1s - gone"
    )


async def test_a_store_that_lists_in_another_order_is_refused() -> None:
    """Rather than that somebody who goes by the order misses blobs."""

    class Unordered:
        def list_async(self, prefix: str | None, *, chunk_size: int) -> object:
            async def pages() -> object:
                yield [{"path": "b"}]
                yield [{"path": "a"}]

            return pages()

    blobs = ObjectBlobs("s3://fast--x-s3", lambda _: Unordered(), request_timeout_s=1, retry_for_s=1)  # type: ignore[arg-type, return-value]

    with pytest.raises(ListingDisordered):
        [info async for info in blobs.list("c")]
