"""Vendors of speech and language, one adapter a file, behind the engine's ports."""
