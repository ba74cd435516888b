import pytest

from tests.support.media_world import World


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.media.aclose()
    assert set(made.media.holdings().values()) == {0}
