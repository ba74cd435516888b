"""What the demo desk says and understands: a table of intents and a table of states, and nothing else.

The rules that read these tables are in :mod:`oneinbox.live.providers.demo.flow`. Every phrase here can be spoken: its
words must stand in pocketsphinx's dictionary (a test checks it). Questions offer choices only, because a recogniser
that is restricted to phrases cannot take dictation: no names, no digits.
"""

from collections.abc import Mapping

import msgspec


class Intent(msgspec.Struct, frozen=True):
    """Something a caller can mean: the phrases that say it, and the words that betray it in typed text."""

    phrases: tuple[str, ...]
    keywords: frozenset[str] = frozenset()


class Move(msgspec.Struct, frozen=True):
    """What one intent leads to: the next state, what is said on the way, and what is remembered.

    ``say`` may name what is remembered (``{day}``). The next state's question follows it. ``over`` ends the call.
    """

    to: str
    say: str = ""
    remember: tuple[str, str] | None = None
    over: bool = False


class State(msgspec.Struct, frozen=True):
    """A point in the conversation: its question, its three choices read aloud, its chips, and where each intent leads."""

    asks: str
    choices: str
    suggestions: tuple[str, ...]
    moves: Mapping[str, Move]


FIRST_MESSAGE = "Hello, this is the OneInbox demo desk. Would you like to book a table, hear our opening hours, or talk to a person?"
FIRST_STATE = "greeting"


def _intent(*phrases: str, keywords: str = "") -> Intent:
    return Intent(phrases, frozenset(keywords.split()))


INTENTS: Mapping[str, Intent] = {
    # ---- what one can come for
    "book": _intent(
        "book a table",
        "i would like to book a table",
        "i'd like to book a table",
        "i want to book a table",
        "can i book a table",
        "could i book a table please",
        "i would like to make a booking",
        "make a reservation",
        "i would like to make a reservation",
        "i'd like to make a reservation",
        "can i make a reservation",
        "i need a table",
        "reserve a table",
        "a table please",
        keywords="book booking table reserve reservation",
    ),
    "hours": _intent(
        "opening hours",
        "your opening hours",
        "the opening hours",
        "hours",
        "your hours",
        "what are your opening hours",
        "tell me your opening hours",
        "i would like to hear your opening hours",
        "when are you open",
        "when do you open",
        "what time do you open",
        "when do you close",
        "what time do you close",
        "are you open today",
        "are you open tomorrow",
        "how late are you open",
        keywords="hours open opening close closed closing late",
    ),
    "menu": _intent(
        "menu",
        "the menu",
        "the menu please",
        "tell me about the menu",
        "what is on the menu",
        "what's on the menu",
        "can i hear the menu",
        "i would like to hear the menu",
        "what do you serve",
        "what kind of food do you have",
        keywords="menu food serve eat dishes",
    ),
    "person": _intent(
        "talk to a person",
        "i want to talk to a person",
        "i would like to talk to a person",
        "can i talk to a person",
        "speak to a person",
        "i would like to speak to a person",
        "talk to someone",
        "can i speak to someone",
        "a person please",
        "a real person",
        "operator",
        "transfer",
        "talk to a human",
        "speak to a human",
        keywords="person human someone somebody operator transfer staff",
    ),
    "cancel": _intent(
        "cancel my booking",
        "i want to cancel my booking",
        "i need to cancel my booking",
        "i would like to cancel my booking",
        "cancel my reservation",
        "i need to cancel my reservation",
        "cancel my table",
        keywords="cancel",
    ),
    "who": _intent(
        "who are you",
        "what are you",
        "are you a robot",
        "are you a real person",
        "am i talking to a machine",
        "what is this",
        keywords="robot machine bot ai",
    ),
    "hello": _intent("hello", "hello there", "hi there", "good morning", "good evening", keywords="hello hi hey"),
    # ---- always understood
    "help": _intent(
        "help",
        "help me",
        "what can i say",
        "what are my choices",
        "what can you do",
        keywords="help choices options",
    ),
    "repeat": _intent(
        "repeat that",
        "repeat that please",
        "say that again",
        "can you say that again",
        "could you repeat that",
        "pardon",
        "sorry what was that",
        keywords="repeat again pardon",
    ),
    "restart": _intent(
        "start over", "start again", "go back to the start", "back to the beginning", keywords="restart"
    ),
    "goodbye": _intent(
        "goodbye",
        "bye bye",
        "thank you goodbye",
        "thanks goodbye",
        "okay goodbye",
        "see you later",
        "hang up",
        "that's all goodbye",
        keywords="goodbye bye",
    ),
    # ---- answers
    "yes": _intent(
        "yes",
        "yes please",
        "yes that's right",
        "that's right",
        "that is correct",
        "yes of course",
        "yeah",
        "yep",
        "sure",
        "okay",
        "please do",
        "sounds good",
        keywords="yes yeah yep ok okay sure correct right",
    ),
    "no": _intent(
        "no",
        "no thanks",
        "no thank you",
        "nope",
        "not really",
        "no that's wrong",
        "that's wrong",
        "rather not",
        keywords="no nope not wrong",
    ),
    "nothing_else": _intent(
        "that's all",
        "that is all",
        "no that's all",
        "no that's all thank you",
        "nothing else",
        "no nothing else",
        "i'm done",
        "that's it",
        keywords="nothing done all",
    ),
    "today": _intent(
        "today",
        "today please",
        "for today",
        "this evening",
        "tonight",
        "today would be nice",
        keywords="today tonight",
    ),
    "tomorrow": _intent(
        "tomorrow",
        "tomorrow please",
        "for tomorrow",
        "tomorrow would be nice",
        "tomorrow evening",
        keywords="tomorrow",
    ),
    "saturday": _intent(
        "saturday",
        "on saturday",
        "saturday please",
        "this saturday",
        "on the weekend",
        "this weekend",
        keywords="saturday weekend",
    ),
    "lunch": _intent(
        "lunch",
        "for lunch",
        "lunch please",
        "lunch time",
        "i would like lunch",
        "at noon",
        keywords="lunch noon midday",
    ),
    "dinner": _intent(
        "dinner",
        "for dinner",
        "dinner please",
        "dinner time",
        "i would like dinner",
        "in the evening",
        keywords="dinner evening supper",
    ),
    "two": _intent(
        "two",
        "for two",
        "two people",
        "for two people",
        "a table for two",
        "two people please",
        "two of us",
        "just the two of us",
        keywords="two couple",
    ),
    "four": _intent(
        "four",
        "for four",
        "four people",
        "for four people",
        "a table for four",
        "four people please",
        "four of us",
        "there are four of us",
        keywords="four",
    ),
    "group": _intent(
        "more than four",
        "more than four people",
        "a big group",
        "a larger group",
        "we are a group",
        "more people",
        keywords="more group larger bigger",
    ),
    "inside": _intent(
        "inside",
        "inside please",
        "a table inside",
        "we would like to sit inside",
        "i would like to sit inside",
        keywords="inside indoors in",
    ),
    "outside": _intent(
        "outside",
        "outside please",
        "a table outside",
        "on the terrace",
        "we would like to sit outside",
        "i would like to sit outside",
        keywords="outside outdoors terrace out",
    ),
    "vegetarian": _intent(
        "vegetarian",
        "vegetarian dishes",
        "the vegetarian dishes",
        "vegetarian food",
        "do you have vegetarian food",
        "do you have anything vegetarian",
        "what is vegetarian",
        "i'm vegetarian",
        keywords="vegetarian vegetarians vegan vegetables",
    ),
    "fish": _intent(
        "fish",
        "fish dishes",
        "the fish dishes",
        "do you have fish",
        "something with fish",
        "fish please",
        keywords="fish salmon seafood",
    ),
    "dessert": _intent(
        "dessert",
        "the desserts",
        "desserts please",
        "what desserts do you have",
        "something sweet",
        keywords="dessert desserts sweet cake pudding",
    ),
}

ALWAYS: Mapping[str, Move] = {
    "help": Move(to="", say=""),
    "repeat": Move(to="", say=""),
    "restart": Move(to="anything_else", say="Back to the start."),
    "goodbye": Move(to="goodbye", say="Thank you for calling. Goodbye!", over=True),
}
"""Understood in every state. An empty ``to`` stays where one is: ``flow`` reads the choices, or asks again."""

_PURPOSES: Mapping[str, Move] = {
    "book": Move(to="booking_day", say="With pleasure."),
    "hours": Move(to="hours", say="We are open from noon to ten in the evening, every day but Monday."),
    "menu": Move(to="menu", say="We cook with what the market has."),
    "person": Move(to="person", say="This is a demo, so nobody is waiting behind it."),
    "cancel": Move(to="cancel", say="I can cancel your booking."),
    "who": Move(
        to="anything_else",
        say="I am a script with a demo voice: no AI model is running. Give me a model, and I can talk about anything.",
    ),
}

STATES: Mapping[str, State] = {
    "greeting": State(
        asks="Would you like to book a table, hear our opening hours, or talk to a person?",
        choices="You can say: book a table, opening hours, or talk to a person.",
        suggestions=("Book a table", "Opening hours", "The menu", "Talk to a person", "Goodbye"),
        moves={**_PURPOSES, "hello": Move(to="greeting", say="Hello!")},
    ),
    "anything_else": State(
        asks="Can I help you with a table, the menu, or our opening hours?",
        choices="You can say: book a table, the menu, or opening hours.",
        suggestions=("Book a table", "The menu", "Opening hours", "Talk to a person", "That's all"),
        moves={
            **_PURPOSES,
            "yes": Move(to="anything_else", say="Gladly."),
            "no": Move(to="goodbye", say="All right. Thank you for calling. Goodbye!", over=True),
            "nothing_else": Move(to="goodbye", say="You are welcome. Goodbye!", over=True),
        },
    ),
    "booking_day": State(
        asks="Would you like to come today, tomorrow, or on Saturday?",
        choices="You can say: today, tomorrow, or on Saturday.",
        suggestions=("Today", "Tomorrow", "On Saturday", "Start over"),
        moves={
            "today": Move(to="booking_meal", say="Today it is.", remember=("day", "today")),
            "tomorrow": Move(to="booking_meal", say="Tomorrow is fine.", remember=("day", "tomorrow")),
            "saturday": Move(to="booking_meal", say="Saturday, good.", remember=("day", "on Saturday")),
        },
    ),
    "booking_meal": State(
        asks="Is that for lunch or for dinner?",
        choices="You can say: lunch, dinner, or start over.",
        suggestions=("Lunch", "Dinner", "Start over"),
        moves={
            "lunch": Move(to="booking_people", say="Lunch, then.", remember=("meal", "lunch")),
            "dinner": Move(to="booking_people", say="Dinner, then.", remember=("meal", "dinner")),
        },
    ),
    "booking_people": State(
        asks="Are you two people, four people, or more?",
        choices="You can say: two people, four people, or a big group.",
        suggestions=("Two people", "Four people", "A big group", "Start over"),
        moves={
            "two": Move(to="booking_seat", say="A table for two.", remember=("people", "two")),
            "four": Move(to="booking_seat", say="A table for four.", remember=("people", "four")),
            "group": Move(to="booking_seat", say="We will push tables together.", remember=("people", "a group")),
        },
    ),
    "booking_seat": State(
        asks="Would you rather sit inside or outside?",
        choices="You can say: inside, outside, or start over.",
        suggestions=("Inside", "Outside", "Start over"),
        moves={
            "inside": Move(to="booking_confirm", say="", remember=("seat", "inside")),
            "outside": Move(to="booking_confirm", say="", remember=("seat", "outside")),
        },
    ),
    "booking_confirm": State(
        asks="So that is {meal} {day}, for {people}, {seat}. Shall I book it?",
        choices="You can say: yes please, no thanks, or start over.",
        suggestions=("Yes please", "No thanks", "Start over"),
        moves={
            "yes": Move(to="anything_else", say="Done: your table is booked. It is only a demo, so nobody cooks yet."),
            "no": Move(to="booking_day", say="Then let us start that booking again."),
        },
    ),
    "hours": State(
        asks="Shall I book a table for you, or tell you about the menu?",
        choices="You can say: book a table, the menu, or that's all.",
        suggestions=("Book a table", "The menu", "No thanks", "That's all"),
        moves={
            "book": _PURPOSES["book"],
            "yes": _PURPOSES["book"],
            "menu": _PURPOSES["menu"],
            "hours": _PURPOSES["hours"],
            "no": Move(to="anything_else", say="All right."),
            "nothing_else": Move(to="goodbye", say="You are welcome. Goodbye!", over=True),
        },
    ),
    "menu": State(
        asks="Shall I read you the vegetarian dishes, the fish, or the desserts?",
        choices="You can say: vegetarian dishes, fish, or desserts please.",
        suggestions=("Vegetarian dishes", "Fish dishes", "The desserts", "Book a table", "That's all"),
        moves={
            "vegetarian": Move(to="after_menu", say="Today we have mushroom risotto and a lentil stew with herbs."),
            "fish": Move(to="after_menu", say="Today we have grilled trout with lemon and potatoes."),
            "dessert": Move(to="after_menu", say="There is plum cake, and there is chocolate ice cream."),
            "book": _PURPOSES["book"],
            "no": Move(to="anything_else", say="All right."),
            "nothing_else": Move(to="goodbye", say="You are welcome. Goodbye!", over=True),
        },
    ),
    "after_menu": State(
        asks="Would you like to hear more of the menu, or book a table?",
        choices="You can say: the menu, book a table, or that's all.",
        suggestions=("The menu", "Book a table", "That's all"),
        moves={
            "menu": Move(to="menu", say="Gladly."),
            "yes": Move(to="menu", say="Gladly."),
            "book": _PURPOSES["book"],
            "vegetarian": Move(to="after_menu", say="Today we have mushroom risotto and a lentil stew with herbs."),
            "fish": Move(to="after_menu", say="Today we have grilled trout with lemon and potatoes."),
            "dessert": Move(to="after_menu", say="There is plum cake, and there is chocolate ice cream."),
            "no": Move(to="anything_else", say="All right."),
            "nothing_else": Move(to="goodbye", say="You are welcome. Goodbye!", over=True),
        },
    ),
    "person": State(
        asks="Shall I note down that somebody calls you back?",
        choices="You can say: yes please, no thanks, or start over.",
        suggestions=("Yes please", "No thanks", "Start over"),
        moves={
            "yes": Move(to="anything_else", say="Noted. Your own agent would hand the call over at this point."),
            "no": Move(to="anything_else", say="All right."),
        },
    ),
    "cancel": State(
        asks="Are you sure that you want to cancel it?",
        choices="You can say: yes please, no thanks, or start over.",
        suggestions=("Yes please", "No thanks", "Start over"),
        moves={
            "yes": Move(to="anything_else", say="Your booking is cancelled."),
            "no": Move(to="anything_else", say="Then it stays as it is."),
        },
    ),
    "goodbye": State(
        asks="Goodbye!",
        choices="Goodbye!",
        suggestions=(),
        moves={},
    ),
}
