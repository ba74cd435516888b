"""The kept half: REST, and what is stored. One folder a feature."""
