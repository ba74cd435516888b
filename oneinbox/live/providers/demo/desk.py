"""What the demo shares between all calls of a worker, and the three stages it makes for one call."""

from oneinbox.core.spec import TtsSpec
from oneinbox.live.providers.demo.agent import DemoAgent, Whereabouts
from oneinbox.live.providers.demo.ear import MAX_LISTENERS, DemoEar, ListenerPool
from oneinbox.live.providers.demo.espeak import EspeakProcess
from oneinbox.live.providers.demo.voice import DemoVoice


class DemoDesk:
    """The recognisers and the speaking process. Neither exists before something needs it."""

    def __init__(self, listeners: int = MAX_LISTENERS) -> None:
        self._ears = ListenerPool(listeners)
        self._espeak = EspeakProcess()

    def conversation(self) -> tuple[DemoEar, DemoAgent]:
        """Return the ear and the script of one call: the ear listens for what the script expects."""
        whereabouts = Whereabouts()
        return DemoEar(self._ears, whereabouts), DemoAgent(whereabouts)

    def voice(self, spec: TtsSpec) -> DemoVoice:
        """Return the voice of one call."""
        return DemoVoice(spec, self._espeak)

    async def warm(self) -> None:
        """Make the first recogniser and start the speaking process; raises ``ProviderError`` or ``EspeakError``."""
        await self._ears.warm()
        await self._espeak.start()

    async def aclose(self) -> None:
        """End both."""
        await self._espeak.aclose()
        await self._ears.aclose()
