"""Models that listen for speech itself, one instance for all calls of a process."""
