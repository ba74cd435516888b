"""Words and checks that the conversation tests share."""

from oneinbox.core.events import Role
from tests.support.conversation import Outcome

GREETING = "Hello there. How can I help you today?"
LONG = (
    "We are open every day from nine in the morning until late at night. On Sundays we open an hour later. "
    "The kitchen closes thirty minutes before we do, so please come early."
)
AGENT, USER = Role.AGENT.value, Role.USER.value


def long_answer(said: str) -> str:
    return LONG


def recorded_agent_words(outcome: Outcome) -> list[str]:
    return " ".join(outcome.said_by(Role.AGENT)).split()


def assert_heard_truth(outcome: Outcome) -> None:
    """What is recorded of the agent is what was played, give or take the word at each cut."""
    played, recorded = outcome.words_played(), recorded_agent_words(outcome)
    cuts = sum(message.interrupted for message in outcome.messages) + 1
    assert abs(len(played) - len(recorded)) <= 2 * cuts, (played, recorded)
    if not any(message.interrupted for message in outcome.messages):
        assert recorded == played[: len(recorded)]
