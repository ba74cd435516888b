"""STUN binding requests and their answers (RFC 8489), as ICE uses them (RFC 8445, 7.3): bytes in, bytes out.

Only what an ICE-lite agent needs: it is asked, and answers; it never asks.
"""

import binascii
import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_BINDING_REQUEST, _BINDING_SUCCESS, _BINDING_ERROR = 0x0001, 0x0101, 0x0111
_USERNAME, _MESSAGE_INTEGRITY, _ERROR_CODE, _XOR_MAPPED_ADDRESS = 0x0006, 0x0008, 0x0009, 0x0020
_USE_CANDIDATE, _FINGERPRINT, _ICE_CONTROLLED = 0x0025, 0x8028, 0x8029
_FINGERPRINT_MASK = 0x5354554E
_INTEGRITY_BYTES = 24  # the attribute with its header
_MAX_BYTES = 1280


class MalformedStunError(ValueError):
    """These bytes are not a STUN message that an ICE client sends."""


class BindingRequest(NamedTuple):
    """A connectivity check, not yet authenticated."""

    transaction: bytes
    username: str
    """``ours:theirs``: the fragment that names our session, and theirs."""
    nominates: bool
    """USE-CANDIDATE: the client wants to use this path."""
    claims_controlled: bool
    """ICE-CONTROLLED: the client thinks that we are in control, which a lite agent never is."""
    signed: bytes
    signature: bytes

    def is_authentic(self, password: str) -> bool:
        """Whether whoever sent this knows ``password``."""
        return hmac.compare_digest(self.signature, _sign(self.signed, password))


def is_stun(data: bytes) -> bool:
    """Whether a packet on a shared port is STUN (RFC 7983, 7)."""
    return data[0] < 4


def parse_binding_request(data: bytes) -> BindingRequest | None:
    """Take a check apart; ``None`` for a STUN message of another kind, which a lite agent ignores."""
    if not _HEADER.size <= len(data) <= _MAX_BYTES:
        raise MalformedStunError(f"{len(data)} bytes")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != _COOKIE or length != len(data) - _HEADER.size or length % 4:
        raise MalformedStunError("the header does not add up")
    if kind != _BINDING_REQUEST:
        return None
    found: dict[int, bytes] = {}
    signed = b""
    for at, attribute, value in _attributes(data):
        if attribute == _FINGERPRINT and value != _fingerprint(data[:at]):
            raise MalformedStunError("the fingerprint is wrong")
        if _MESSAGE_INTEGRITY not in found:  # what follows is not covered by it: not to be believed (RFC 8489, 14.5)
            found[attribute] = value
            if attribute == _MESSAGE_INTEGRITY:
                # signed as if the message ended with this attribute
                signed = data[:2] + struct.pack("!H", at + _INTEGRITY_BYTES - _HEADER.size) + data[4:at]
    username, signature = found.get(_USERNAME), found.get(_MESSAGE_INTEGRITY)
    if username is None or signature is None:
        raise MalformedStunError("a check without a user name or a signature")
    try:
        name = username.decode()
    except UnicodeDecodeError:
        raise MalformedStunError("the user name is not text") from None
    return BindingRequest(transaction, name, _USE_CANDIDATE in found, _ICE_CONTROLLED in found, signed, signature)


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each attribute stands, its type and its value. ``data`` is a whole number of words."""
    at = _HEADER.size
    while at < len(data):
        attribute, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            raise MalformedStunError("an attribute is cut off")
        yield at, attribute, value
        at += 4 + (size + 3) // 4 * 4


def build_success(request: BindingRequest, address: tuple[str, int], password: str) -> bytes:
    """Return the answer to an authentic check that came from ``address``."""
    ip = ipaddress.ip_address(address[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    key = struct.pack("!I", _COOKIE) + request.transaction
    masked = bytes(left ^ right for left, right in zip(ip.packed, key, strict=False))
    value = struct.pack("!HH", 1 if ip.version == 4 else 2, address[1] ^ _COOKIE >> 16) + masked
    return _message(_BINDING_SUCCESS, request.transaction, _XOR_MAPPED_ADDRESS, value, password)


def build_role_conflict(request: BindingRequest, password: str) -> bytes:
    """Return the error that makes the client take control (RFC 8445, 7.3.1.1)."""
    value = struct.pack("!HBB", 0, 4, 87) + b"Role Conflict"
    return _message(_BINDING_ERROR, request.transaction, _ERROR_CODE, value, password)


def _message(kind: int, transaction: bytes, attribute: int, value: bytes, password: str) -> bytes:
    body = _ATTRIBUTE.pack(attribute, len(value)) + value + bytes(-len(value) % 4)
    signed = _HEADER.pack(kind, len(body) + _INTEGRITY_BYTES, _COOKIE, transaction) + body
    signature = _sign(signed, password)
    body += _ATTRIBUTE.pack(_MESSAGE_INTEGRITY, len(signature)) + signature
    whole = _HEADER.pack(kind, len(body) + 8, _COOKIE, transaction) + body
    return whole + _ATTRIBUTE.pack(_FINGERPRINT, 4) + _fingerprint(whole)


def _sign(data: bytes, password: str) -> bytes:
    return hmac.new(password.encode(), data, hashlib.sha1).digest()


def _fingerprint(data: bytes) -> bytes:
    return struct.pack("!I", binascii.crc32(data) ^ _FINGERPRINT_MASK)
