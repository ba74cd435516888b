"""The tables' history: one line of revisions below ``versions``, applied with Alembic.

A new revision: ``alembic`` is not needed on the command line; add ``versions/NNNN_name.py`` by hand (tests compare what
all revisions make with ``tables.py``) and raise :data:`HEAD`.
"""

HEAD = "0009"
"""The newest revision. Kept here so that a start can compare it with the stored one without loading Alembic."""
