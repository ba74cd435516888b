"""CPU per call of the embedded media endpoint beside aiortc as it is shipped."""
