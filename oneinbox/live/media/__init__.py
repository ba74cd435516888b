"""How sound and text reach a participant: one port (``leg.py``), one folder or file for each transport."""
