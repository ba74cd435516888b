"""Random calls in virtual time, by seed: whatever the caller does and whichever provider fails, the laws hold."""
