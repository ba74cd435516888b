"""What the demo desk says, and where each thing the caller can mean leads: a table of states, and nothing else.

The rules that read it are in :mod:`oneinbox.live.providers.demo.flow`. Questions offer choices only, because a
recogniser that is restricted to phrases cannot take dictation: no names, no digits.
"""

from collections.abc import Mapping

import msgspec


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


FIRST_STATE = "greeting"


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
