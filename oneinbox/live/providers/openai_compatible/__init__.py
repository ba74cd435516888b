"""Whoever speaks OpenAI's wire: chat completions, audio speech and audio transcriptions, at any address."""
