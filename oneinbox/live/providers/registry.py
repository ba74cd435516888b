"""Which adapter serves which stage, and what the adapters of all calls of a worker share.

===================  ============================  ==============================================================
provider             stages                        shared by the calls of a worker
===================  ============================  ==============================================================
openai_compatible    stt, llm, tts                 one pool of warm connections for each server and key
demo                 stt and llm together; tts     the recognisers; the helper process that speaks
===================  ============================  ==============================================================
"""

import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import httpx
import msgspec

from oneinbox.core.errors import ProviderError, Stage
from oneinbox.core.spec import CallSpec, StageSpec, ToolSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.clips import ClipShelf
from oneinbox.live.engine.phrasebook import phrasebook
from oneinbox.live.engine.ports import Llm, Stt, Tts
from oneinbox.live.providers.kept_voice import KeptVoice
from oneinbox.live.providers.openai_compatible.http import Endpoint, open_client
from oneinbox.live.providers.openai_compatible.llm import ChatCompletions
from oneinbox.live.providers.openai_compatible.pinned import PinnedTransport
from oneinbox.live.providers.openai_compatible.settings import PROVIDER as OPENAI_COMPATIBLE
from oneinbox.live.providers.openai_compatible.settings import Options, Patience, base_url, read_options
from oneinbox.live.providers.openai_compatible.stt import AudioTranscriptions
from oneinbox.live.providers.openai_compatible.tts import AudioSpeech
from oneinbox.live.providers.unavailable import UnavailableLlm, UnavailableStt, UnavailableTts

if TYPE_CHECKING:
    from oneinbox.live.providers.demo.desk import DemoDesk

DEMO = "demo"
_log = logging.getLogger(__name__)
Adapter = TypeVar("Adapter")
Functions = Callable[[], Sequence[ToolSpec]]
_Place = tuple[str, str | None, bool]
"""An address, a key, and whether the address is pinned."""


class CallProviders(msgspec.Struct, frozen=True, kw_only=True):
    """The three stages of one call."""

    stt: Stt
    llm: Llm
    tts: Tts


class ProviderHub:
    """Makes the adapters of each call out of its spec, and holds what they share. One for each worker process."""

    def __init__(
        self,
        *,
        patience: Patience | None = None,
        max_connections: int = 200,
        keep_alive_s: float = 300.0,
        demo_listeners: int = 4,
    ) -> None:
        self._patience = patience or Patience()
        self._limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=keep_alive_s,
        )
        self._demo_listeners = demo_listeners
        self._clients: dict[_Place, httpx.AsyncClient] = {}
        self._pins: dict[_Place, PinnedTransport] = {}
        self._certificates: ssl.SSLContext | None = None
        self._demo: DemoDesk | None = None
        self._scope = TaskScope("providers")
        self._clips = ClipShelf()

    async def start(self) -> None:
        """Be ready for calls. What is shared is made when the first call needs it."""

    async def warm(self, names: Iterable[str]) -> None:
        """Make now what the providers of these names share. Failing is logged; the calls that need it will tell."""
        if DEMO in names:
            from oneinbox.live.providers.demo.espeak import EspeakError  # noqa: PLC0415 - only where it is used

            try:
                await self._demo_desk().warm()
            except (ProviderError, EspeakError) as error:
                _log.warning("the demo cannot be warmed: %s", error)

    def for_call(self, spec: CallSpec, functions: Functions | None = None) -> CallProviders:
        """Return the adapters of a call; never raises. ``functions`` tells what the model may call (default: nothing).

        A stage that cannot be served (a provider that does not exist, an address that is none) gets an adapter that
        says so when it is first asked, so that the call ends with a reason.
        """
        if spec.llm.provider == DEMO:
            ear, agent = self._demo_desk().conversation()
            stt = ear if spec.stt.provider == DEMO else self._stt(spec)
            return CallProviders(stt=stt, llm=agent, tts=self._tts(spec))
        return CallProviders(stt=self._stt(spec), llm=self._llm(spec, functions or tuple), tts=self._tts(spec))

    async def aclose(self) -> None:
        """Close every connection, and end the demo's process and threads."""
        await self._scope.aclose()
        clients = list(self._clients.values())
        self._clients.clear()
        self._pins.clear()
        for client in clients:
            await client.aclose()
        demo, self._demo = self._demo, None
        if demo is not None:
            await demo.aclose()

    def _stt(self, spec: CallSpec) -> Stt:
        if spec.stt.provider == DEMO:
            return UnavailableStt(DEMO, "the demo's recogniser understands nothing but the demo agent's phrases")
        return self._adapter(
            spec.stt,
            Stage.STT,
            lambda endpoint, options: AudioTranscriptions(spec.stt, endpoint, options),
            UnavailableStt,
        )

    def _llm(self, spec: CallSpec, functions: Functions) -> Llm:
        return self._adapter(
            spec.llm,
            Stage.LLM,
            lambda endpoint, options: ChatCompletions(spec.llm, functions, endpoint, options),
            UnavailableLlm,
        )

    def _tts(self, spec: CallSpec) -> Tts:
        """Return the voice, which keeps what it says at the beginning of every call and in many others."""
        fixed = frozenset(phrasebook(spec.stt.language).all_lines())
        greeting = spec.first_message or ""
        return KeptVoice(
            self._voice(spec), spec, self._clips, self._scope, lambda text: text in greeting or text in fixed
        )

    def _voice(self, spec: CallSpec) -> Tts:
        if spec.tts.provider == DEMO:
            return self._demo_desk().voice(spec.tts)
        return self._adapter(
            spec.tts, Stage.TTS, lambda endpoint, options: AudioSpeech(spec.tts, endpoint, options), UnavailableTts
        )

    def _adapter(
        self,
        stage_spec: StageSpec,
        stage: Stage,
        make: Callable[[Endpoint, Options], Adapter],
        refuse: Callable[[str, str], Adapter],
    ) -> Adapter:
        """Return the adapter that ``make`` makes, or the one that says why there can be none."""
        name = stage_spec.provider
        if name != OPENAI_COMPATIBLE:
            return refuse(name, f"there is no provider {name!r} for this stage")
        try:
            options = read_options(stage_spec)
            client = self._client(stage_spec)
        except msgspec.ValidationError as error:
            return refuse(name, f"the options are wrong: {error}")
        except httpx.InvalidURL:
            return refuse(name, "the base_url is not an address")
        except ValueError as error:
            return refuse(name, str(error))
        return make(Endpoint(client, self._scope, stage, stage_spec.api_key, self._patience), options)

    def _client(self, spec: StageSpec) -> httpx.AsyncClient:
        place = (base_url(spec), spec.api_key, bool(spec.addresses))
        client = self._clients.get(place)
        if client is None:
            self._certificates = self._certificates or httpx.create_ssl_context()
            pin = self._pin(spec)
            client = open_client(place[0], place[1], self._patience, self._limits, self._certificates, transport=pin)
            if pin is not None:
                self._pins[place] = pin
            self._clients[place] = client
        elif place in self._pins:
            self._pins[place].addresses = spec.addresses
        return client

    def _pin(self, spec: StageSpec) -> PinnedTransport | None:
        """Return what keeps the requests to the addresses that the spec names, where it names any."""
        if not spec.addresses:
            return None
        carrier = httpx.AsyncHTTPTransport(verify=self._certificates or True, limits=self._limits, trust_env=False)
        return PinnedTransport(spec.addresses, carrier)

    def _demo_desk(self) -> "DemoDesk":
        if self._demo is None:
            from oneinbox.live.providers.demo.desk import DemoDesk  # noqa: PLC0415 - loads pocketsphinx: on demand

            self._demo = DemoDesk(self._demo_listeners)
        return self._demo
