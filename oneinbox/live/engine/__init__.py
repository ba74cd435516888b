"""The conversation engine: who speaks when, and what is said. Knows no codec, no socket, no vendor."""
