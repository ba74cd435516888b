"""Hostile bytes for everything that reads bytes from strangers. ``python -m tests.fuzz --minutes 10`` runs all of it."""
