"""Keeps aiortc's own ICE on loopback: it offers every address of the machine but that one."""

import aioice.ice


def _only_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    del use_ipv6
    return ["127.0.0.1"] if use_ipv4 else []


def stay_on_loopback() -> None:
    """From now on connections of this process are made over loopback."""
    aioice.ice.get_host_addresses = _only_loopback
