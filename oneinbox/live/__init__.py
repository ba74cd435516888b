"""The live half: a call while it is spoken. No HTTP framework and no SQL come near it."""
