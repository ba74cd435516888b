"""Turn-taking beside LiveKit Agents and Pipecat: ``python -m bench.turns``."""
