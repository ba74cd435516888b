"""The embedded media endpoint: LiveKit's protocol spoken from inside the worker."""
