"""What both halves share: ids, time, errors, the call's spec, its events, and the link that carries them.

Imports nothing of ours.
"""
