"""What is used of pocketsphinx 5.1.1, typed after its published documentation."""

from collections.abc import Iterator

class Hypothesis:
    hypstr: str

class Segment:
    word: str
    start_frame: int
    end_frame: int
    ascore: float

class Decoder:
    def __init__(
        self,
        *,
        hmm: str = ...,
        dict: str = ...,
        lm: str | None = ...,
        allphone: str = ...,
        loglevel: str = ...,
        cmn: str = ...,
        bestpath: bool = ...,
        beam: float = ...,
        wbeam: float = ...,
        pbeam: float = ...,
        lw: float = ...,
        pip: float = ...,
    ) -> None: ...
    def add_jsgf_string(self, name: str, jsgf_string: str) -> None: ...
    def activate_search(self, search_name: str | None = ...) -> None: ...
    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes, no_search: bool = ..., full_utt: bool = ...) -> int: ...
    def end_utt(self) -> None: ...
    def hyp(self) -> Hypothesis | None: ...
    def seg(self) -> Iterator[Segment] | None: ...
    def get_cmn(self, update: bool = ...) -> str: ...
    def set_cmn(self, cmn: str) -> None: ...

def get_model_path(subpath: str | None = ...) -> str: ...
def set_loglevel(level: str) -> None: ...
