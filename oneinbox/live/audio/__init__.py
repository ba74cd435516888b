"""Sound: PCM, Opus, resampling, and the queue that plays out in real time. Leaves that every transport shares."""
