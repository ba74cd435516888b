"""Signatures against the examples of the specification.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and .../sigv4-query-string-auth.html
"""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from oneinbox.api.recordings.sigv4 import Signer

SIGNER = Signer(
    key_id="AKIAIOSFODNN7EXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
)
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "https://examplebucket.s3.amazonaws.com"


def test_the_example_of_a_get() -> None:
    empty = hashlib.sha256(b"").hexdigest()
    signed = SIGNER.signed_headers("GET", f"{HOST}/test.txt", {"Range": "bytes=0-9"}, empty, NOW)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_example_of_a_put() -> None:
    body = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
    headers = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    signed = SIGNER.signed_headers("PUT", f"{HOST}/test%24file.text", headers, body, NOW)
    assert signed["authorization"].endswith(
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


def test_the_example_of_a_presigned_address() -> None:
    query = parse_qs(urlsplit(SIGNER.presigned("GET", f"{HOST}/test.txt", 86_400, NOW)).query)
    assert query["X-Amz-Signature"] == ["aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"]
    assert query["X-Amz-Credential"] == ["AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"]


@pytest.mark.parametrize("expires_s", [0, -1, 7 * 24 * 3600 + 1])
def test_an_address_holds_for_up_to_a_week(expires_s: int) -> None:
    with pytest.raises(ValueError, match="presigned"):
        SIGNER.presigned("GET", HOST, expires_s, NOW)


def test_the_secret_is_not_shown() -> None:
    assert SIGNER.secret not in repr(SIGNER)
