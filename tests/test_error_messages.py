"""Every UserError of the package: what is wrong, what is allowed, and what to type or do about it.

A program can check the form: a message names a thing, and its last part tells what to do.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "efficiency_bench"
ERRORS = {"UserError", "LeftOut", "EntryExists"}
VALUE = "\0"
"""Stands for a value in the text of a message."""

ADVICE = "\1"
"""Stands for what a variable or function says to do that is called so."""

ADVISERS = {"again", "advice", "more_rows", "way_out"}
WHOLE = "whole_message"

VERBS = (
    "add|ask|call|change|check|choose|convert|correct|fetch|free|get|give|install|keep|leave|load"
    "|make|measure|merge|move|name|pack|put|remove|rename|restore|run|set|start|train|try|type|unpack"
    "|unset|use|wait|write"
)
TO_DO = re.compile(
    rf"{ADVICE}|known: {VALUE}|(?<!the )(?<!its )(?<! a )\b({VERBS})\b|efficiency-bench"
    r"|\b[\w.]+=|--[a-z]"
)
"""A word that tells the reader to do something, a setting, an option or a command."""

NAMED = re.compile(rf"[{VALUE}{ADVICE}]|(?<!\w)--?[a-z]|[\w/.]+=|[A-Z_]{{4}}|'|efficiency.bench")
PARTS = re.compile(r"; |;\n|\n|: |, or |(?<=[a-z)])\. ")

REASONS = {
    "ledger/kept_log.py": "why somebody else's log is not read, inside a verification",
    "reproducibility/data_and_counts.py": "why a check of a verification is skipped",
}
"""Files whose UserErrors are caught and shown inside another message."""


def text_of(node):
    """The text of a message; VALUE where the program fills something in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(text_of, values))
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return text_of(left) + text_of(right)
        case ast.FormattedValue(
            value=ast.Name(id=name)
            | ast.Attribute(attr=name)
            | ast.Call(func=ast.Attribute(attr=name))
        ):
            return WHOLE if name == WHOLE else ADVICE if name.lower() in ADVISERS else VALUE
        case _:
            return VALUE


def _mark(handler):
    """Rename the caught UserError, which is a whole message already."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Name) and node.id == handler.name:
            node.id = WHOLE


def messages():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and "UserError" in ast.dump(node.type or node):
                _mark(node)
            match node:
                case ast.Call(func=ast.Name(id=name), args=[message, *_]) if name in ERRORS:
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", text_of(message)


def problem_of(text):
    """What the message lacks, or None.  One that is only a value is made and tested elsewhere."""
    if text == VALUE or text.endswith(WHOLE):
        return None
    if not NAMED.search(text):
        return "it names no value, key or option"
    what, *others = PARTS.split(text)
    if not others:
        return "it has one part only"
    return None if TO_DO.search(text[len(what) :]) else "it does not tell what to do"


def test_every_message_says_what_is_wrong_and_what_to_do():
    found = dict(messages())
    assert len(found) > 200
    problems = {
        place: f"{problem}: {text.replace(VALUE, '{}')}"
        for place, text in found.items()
        if place.split(":")[0] not in REASONS and (problem := problem_of(text))
    }
    assert not problems


@pytest.mark.parametrize(
    ("source", "lacks"),
    [
        ("UserError(f'cannot read {path}: {error}')", "what to do"),
        ("UserError(f'{key} must be over 0')", "one part"),
        ("UserError('the value is wrong: choose another')", "names no value"),
        ("UserError(f'{key} must be over 0; type {key}=1')", None),
        ("UserError('--at needs corners: ' 'add --from')", None),
        ("UserError(f'cannot read {path};\\n{way_out}')", None),
    ],
)
def test_a_message_that_lacks_a_part_is_found(source, lacks):
    problem = problem_of(text_of(ast.parse(source).body[0].value.args[0]))
    assert problem is None if lacks is None else lacks in problem


def test_reasons_are_still_in_the_files_that_are_excepted():
    assert {place.split(":")[0] for place, text in messages() if problem_of(text)} == set(REASONS)
