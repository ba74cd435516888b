"""PCM, codecs and resampling: leaves that every transport shares."""
