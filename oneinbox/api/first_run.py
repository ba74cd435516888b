"""What a server needs before anybody can use it: an organisation, its owner, and an agent that works without a key."""

from dataclasses import dataclass

from oneinbox.api.accounts.service import ensure_organisation
from oneinbox.api.agents.schemas import AgentCreate, Transcriber, Tts
from oneinbox.api.agents.service import add_agent
from oneinbox.api.agents.stages import DEMO
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import Agent, Organisation
from oneinbox.api.models.schemas import ModelCreate
from oneinbox.api.models.service import make_model

DEMO_AGENT_NAME = "Demo desk"
DEMO_FIRST_MESSAGE = "Hello, this is the OneInbox demo desk. Would you like to book a table, hear our opening hours, or talk to a person?"
_DEMO_PROMPT = "The demo follows a written script; no language model reads this prompt."


@dataclass(frozen=True, kw_only=True)
class FirstRun:
    """What was made at the first start, or found at a later one."""

    org_id: str
    demo_agent_id: str | None
    """``None`` where somebody deleted the demo agent: it is not made again."""


async def ensure_first_organisation(database: Database) -> FirstRun:
    """Make the first organisation, its owner and its demo agent where they are missing. For every start."""
    async with database.write() as rows:
        organisation = await ensure_organisation(rows)
        await add_demo_agent(rows, organisation)
        kept = await fetch_owned(rows, Agent, organisation.id, organisation.demo_agent_id or "")
        return FirstRun(org_id=organisation.id, demo_agent_id=None if kept is None else kept.id)


async def add_demo_agent(rows: Rows, organisation: Organisation) -> None:
    """Make the organisation's demo agent, unless it had one once."""
    if organisation.demo_agent_id is not None:
        return
    model = make_model(organisation.id, ModelCreate(name="Demo script", provider=DEMO, system_prompt=_DEMO_PROMPT))
    rows.add(model)
    await rows.flush()
    agent, _ = await add_agent(
        rows,
        organisation.id,
        AgentCreate(
            name=DEMO_AGENT_NAME,
            llm_id=model.id,
            transcriber=Transcriber(provider=DEMO),
            tts=Tts(provider=DEMO),
            first_message=DEMO_FIRST_MESSAGE,
            end_call_phrases=["goodbye"],
            silence_timeout_seconds=30,
        ),
    )
    organisation.demo_agent_id = agent.id
    await rows.flush()
