"""What the engine says of its own accord."""

from collections.abc import Mapping

from oneinbox.live.engine.turn_events import Line

LINES: Mapping[Line, str] = {
    Line.APOLOGY: "Sorry, something went wrong on my side. Could you say that again?",
    Line.UNHEARD: "Sorry, I could not hear you just now. Could you say that again?",
    Line.FAREWELL: "I am sorry, I cannot go on with this call just now. Please try again later. Goodbye.",
}
FILLERS = ("One moment, please.", "I am still on it, one more moment.")
"""Said in turn while a reply is long in coming."""
