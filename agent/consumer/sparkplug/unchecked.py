"""Statements of the specification that the conformance monitor does not check, with reasons; it checks all others.

docs/sparkplug.md shows the list, and a test compares the two. Another one proves that every statement that is
checked can fail: for each there is a node that violates it.
"""

from __future__ import annotations

from agent.consumer.sparkplug.statements import STATEMENTS

_NO_TEMPLATES = "for nodes with templates; ours has none, and the inside of others' is not checked"
_NO_DATASETS = "for nodes with data sets; ours has none, and the inside of others' is not checked"
_BY_EXCEPTION = "a recommendation; whether an unchanged value is published again is the user's choice (`report:`)"
_PERMISSION = "a permission: nothing can violate it"


def _reason(statement: str, text: str) -> str | None:
    if text.startswith("MAY"):
        return _PERMISSION
    if "template" in statement:
        return _NO_TEMPLATES
    if "dataset" in statement:
        return _NO_DATASETS
    by_exception = ("principles-rbe-recommended", "publish-nbirth-change", "publish-dbirth-change")
    return _BY_EXCEPTION if statement.endswith(by_exception) else None


#: id → why it is not checked
UNCHECKED: dict[str, str] = {
    statement: reason for statement, text in STATEMENTS.items() if (reason := _reason(statement, text)) is not None
}
#: id → what it asks
CHECKED: dict[str, str] = {statement: text for statement, text in STATEMENTS.items() if statement not in UNCHECKED}
