"""How much a client may say."""


class Allowance:
    """A budget that fills again with time: ``per_s`` each second, up to ``at_once``."""

    def __init__(self, *, per_s: float, at_once: float) -> None:
        self._per_s = per_s
        self._at_once = at_once
        self._left = at_once
        self._at_s: float | None = None

    def take(self, amount: float, now_s: float) -> bool:
        """Whether ``amount`` may still be spent at ``now_s``; where it may not, nothing is."""
        if self._at_s is not None:
            self._left = min(self._at_once, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._left:
            return False
        self._left -= amount
        return True


class DataAllowance:
    """What a client may send by its data channels: messages and bytes."""

    def __init__(self) -> None:
        self._messages = Allowance(per_s=100, at_once=300)
        self._bytes = Allowance(per_s=64 * 1024, at_once=512 * 1024)
        self.exceeded = False
        """Whether the last message was one too many: so that a flood is logged once."""

    def take(self, size: int, now_s: float) -> bool:
        """Whether a message of ``size`` bytes may still come in."""
        allowed = self._messages.take(1, now_s) and self._bytes.take(size, now_s)
        self.exceeded = not allowed
        return allowed
