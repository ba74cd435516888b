"""Phone numbers on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Name, ShortText, Text, Word, absent

PhoneProvider = Literal["twilio", "telnyx"]
E164 = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{1,14}$", examples=["+4930123456"])]
TrunkAddress = Annotated[str, Field(max_length=259, pattern=r"^[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?$")]


class Fallback(Body):
    """Who takes a call that the first agent cannot."""

    agent_id: Word


class InboundRouting(Body):
    """What happens to calls that come in."""

    agent_id: Word | None = Field(default=None, description="Left out: the number's own agent.")
    fallback: Fallback | None = None
    voicemail_message: Text | None = None


class InboundRoutingSet(Body):
    """What happens to calls that come in, said as a whole."""

    agent_id: Word
    fallback: Fallback | None = None
    voicemail_message: Text | None = None


class InboundRoutingPatch(Body):
    """What to change. What is left out stays; null clears."""

    agent_id: Word | None = Field(default_factory=absent)
    fallback: Fallback | None = Field(default_factory=absent)
    voicemail_message: Text | None = Field(default_factory=absent)


class ProviderConfig(Body):
    """The SIP trunk with your carrier (digest authentication)."""

    trunk_address: TrunkAddress = Field(examples=["example.pstn.twilio.com"])
    auth_username: Word | None = None
    auth_password: ShortText | None = Field(default=None, description="Kept encrypted, never shown.")


class PhoneNumberCreate(Body):
    """A number that you have with a carrier."""

    phone_number: E164
    provider: PhoneProvider
    agent_id: Word
    friendly_name: Name | None = None
    provider_config: ProviderConfig | None = None
    credential_id: Word | None = None
    inbound_routing: InboundRouting | None = None


class PhoneNumberPatch(Body):
    """What to change. ``inbound_routing`` is merged; null takes it away."""

    friendly_name: Name | None = Field(default_factory=absent)
    agent_id: Word = Field(default_factory=absent)
    inbound_routing: InboundRoutingPatch | None = Field(default_factory=absent)


class PhoneNumberPurchase(Body):
    """A number to be bought."""

    phone_number: E164 | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    area_code: Annotated[str, Field(pattern=r"^[0-9]{1,6}$")] | None = None
    contains: Annotated[str, Field(pattern=r"^[0-9*]{1,15}$")] | None = None
    friendly_name: Name | None = None
    agent_id: Word | None = None
    inbound_routing: InboundRouting | None = None


class FallbackAnswer(Answer):
    """Who takes a call that the first agent cannot."""

    agent_id: str


class InboundRoutingAnswer(Answer):
    """What happens to calls that come in."""

    agent_id: str | None = None
    fallback: FallbackAnswer | None = None
    voicemail_message: str | None = None


class ProviderConfigAnswer(Answer):
    """The SIP trunk, without its password."""

    trunk_address: str
    auth_username: str | None


class PhoneNumberAnswer(Answer):
    """A number."""

    id: str = Field(examples=["phn_01jd2k"])
    phone_number: str
    friendly_name: str | None
    provider: str
    agent_id: str
    credential_id: str | None
    provider_config: ProviderConfigAnswer | None
    status: Literal["active", "inactive"] = Field(description="`inactive`: no carrier is connected to this server.")
    inbound_trunk_id: str | None
    outbound_trunk_id: str | None
    dispatch_rule_id: str | None
    inbound_routing: InboundRoutingAnswer | None
    created_at: datetime
    updated_at: datetime
