"""What an agent can do besides talking: the tools of a call behind the engine's ``Tools`` port."""
