"""``{{name}}``: one pass, nothing else."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.api.calls.template import MAX_RENDERED_CHARS, MAX_VALUE_CHARS, check_variables, render
from oneinbox.core.errors import AppError

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("Hi {{name}}!", {"name": "Ann"}, "Hi Ann!"),
    ("Hi {{ name }}!", {"name": "Ann"}, "Hi Ann!"),
    ("{{a}}{{b}}{{a}}", {"a": "1", "b": "2"}, "121"),
    ("Hi {{nobody}}.", {}, "Hi ."),
    ("{{a}}", {"a": None}, ""),
    ("{{a}}", {"a": ""}, ""),
    ("{{a}} {{b}} {{c}}", {"a": 1, "b": 2.5, "c": True}, "1 2.5 true"),
    ("{{a}}", {"a": [1, "x"]}, '[1, "x"]'),
    ("{{a}}", {"a": {"b": "ü"}}, '{"b": "ü"}'),
    ("{{a}}", {"a": "{{b}}", "b": "no"}, "{{b}}"),
    ("{{a}}b}}", {"a": "{{"}, "{{b}}"),
    ("{{{a}}}", {"a": "x"}, "{x}"),
    ("{{{{a}}}}", {"a": "b", "b": "no"}, "{{b}}"),
    ("{a} {{a b}} {{}} {{ }} {{a", {"a": "x"}, "{a} {{a b}} {{}} {{ }} {{a"),
    ("{{a.b}} {{c-d}} {{naïve}}", {"a.b": "1", "c-d": "2", "naïve": "3"}, "1 2 3"),
    ("{{a|upper}} {{#if a}} {{a()}}", {"a": "x"}, "{{a|upper}} {{#if a}} {{a()}}"),
    ("{{\na\n}}", {"a": "x"}, "{{\na\n}}"),
    ("{{a}}", {"a": r"\1 \g<0> $1 %s {0}"}, r"\1 \g<0> $1 %s {0}"),
    ("{{__class__}} {{a.__init__}}", {"a": "x"}, " "),
    ("", {"a": "x"}, ""),
]


@pytest.mark.parametrize(("template", "variables", "expected"), CASES)
def test_rendering(template: str, variables: dict[str, Any], expected: str) -> None:
    assert render(template, variables, param="p") == expected


NAME = st.text(alphabet="abc_.-1é", min_size=1, max_size=4)
PIECE = (
    st.text(alphabet="ab{} \n", max_size=6)
    | NAME.map(lambda name: "{{" + name + "}}")
    | NAME.map(lambda name: "{{ " + name + " }}")
)
VALUE = st.text(alphabet="ab{}\u202e😀", max_size=8) | NAME.map(lambda name: "{{" + name + "}}")


@given(st.lists(PIECE, max_size=8).map("".join), st.dictionaries(NAME, VALUE, max_size=5))
def test_it_is_a_single_pass(template: str, variables: dict[str, str]) -> None:
    """The reference cuts the template at its places first: so no value can be looked at."""
    place = re.compile(r"\{\{[ \t]*([\w.\-]{1,128})[ \t]*\}\}")
    pieces: list[str] = []
    at = 0
    for found in place.finditer(template):
        pieces += [template[at : found.start()], variables.get(found[1], "")]
        at = found.end()
    assert render(template, variables, param="p") == "".join([*pieces, template[at:]])


def test_a_value_that_is_too_long_names_its_variable() -> None:
    render("{{a}}", {"a": "x" * MAX_VALUE_CHARS}, param="p")
    for variables in ({"a": "x" * (MAX_VALUE_CHARS + 1)}, {"a": ["x" * MAX_VALUE_CHARS]}):
        for attempt in (lambda v=variables: render("{{a}}", v, param="p"), lambda v=variables: check_variables(v)):
            with pytest.raises(AppError) as refusal:
                attempt()
            assert (refusal.value.code, refusal.value.param) == ("variable_too_long", "variables.a")


def test_a_result_that_is_too_long_names_its_field() -> None:
    times = MAX_RENDERED_CHARS // MAX_VALUE_CHARS + 1
    with pytest.raises(AppError) as refusal:
        render("{{a}}" * times, {"a": "x" * MAX_VALUE_CHARS}, param="system_prompt")
    assert (refusal.value.code, refusal.value.param) == ("prompt_too_long", "system_prompt")


@pytest.mark.parametrize(
    "template", ["{" * 100_000, "{{ " * 50_000, "{{a" * 50_000, "{{" + "a" * 100_000, " " * 100_000]
)
def test_no_template_takes_long(template: str) -> None:
    began = time.process_time()
    render(template, {}, param="p")
    assert time.process_time() - began < 2  # quadratic work would take minutes
