"""Signatures of requests to S3-compatible stores: AWS Signature Version 4. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
MAX_PRESIGNED_S = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Whose signature it is, and where it is valid."""

    key_id: str
    secret: str = field(repr=False)
    region: str

    def signed_headers(
        self, method: str, url: str, headers: Mapping[str, str], payload_sha256: str, now: datetime
    ) -> dict[str, str]:
        """Return ``headers`` and those that sign them, the address and the body (by its SHA-256 in hex)."""
        stamp = _stamp(now)
        signed = {
            **{name.lower(): value.strip() for name, value in headers.items()},
            "host": urlsplit(url).netloc,
            "x-amz-content-sha256": payload_sha256,
            "x-amz-date": stamp,
        }
        request = _canonical(method, url, "", signed, payload_sha256)
        signature = self._signature(request, stamp)
        names = ";".join(sorted(signed))
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={self.key_id}/{self._scope(stamp)}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def presigned(self, method: str, url: str, expires_s: int, now: datetime) -> str:
        """Return an address that does ``method`` for whoever has it, for so many seconds."""
        if not 0 < expires_s <= MAX_PRESIGNED_S:
            raise ValueError(f"a presigned address holds for up to {MAX_PRESIGNED_S} s, not {expires_s}")
        stamp = _stamp(now)
        query = "&".join(
            f"{name}={quote(value, safe='-_.~')}"
            for name, value in (
                ("X-Amz-Algorithm", _ALGORITHM),
                ("X-Amz-Credential", f"{self.key_id}/{self._scope(stamp)}"),
                ("X-Amz-Date", stamp),
                ("X-Amz-Expires", str(expires_s)),
                ("X-Amz-SignedHeaders", "host"),
            )
        )
        request = _canonical(method, url, query, {"host": urlsplit(url).netloc}, _UNSIGNED)
        signature = self._signature(request, stamp)
        return f"{url}?{query}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/s3/aws4_request"

    def _signature(self, request: str, stamp: str) -> str:
        to_sign = "\n".join((_ALGORITHM, stamp, self._scope(stamp), hashlib.sha256(request.encode()).hexdigest()))
        key = f"AWS4{self.secret}".encode()
        for part in (stamp[:8], self.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _canonical(method: str, url: str, query: str, headers: Mapping[str, str], payload: str) -> str:
    names = sorted(headers)
    lines = (f"{name}:{headers[name]}" for name in names)
    return "\n".join((method, urlsplit(url).path or "/", query, *lines, "", ";".join(names), payload))
