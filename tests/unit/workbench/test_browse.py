"""What was found as names, YAML, CSV and a tree, for text as strange as servers have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.address.nodeid import NodeAddress, parse_node_id
from agent.collectors.opcua.browse.facts import Nature, NodeWords
from agent.collectors.opcua.survey import FoundVariable
from agent.config.loader import load
from agent.config.yaml import parse
from agent.core.errors import ConfigError
from agent.settings.tags import check_tag_name
from agent.workbench.browse import FoundTags, csv_of, device_name, tags_of, tree
from agent.workbench.merged import Addition, merge_into, merged, with_tags
from agent.workbench.spelled import quoted, spelled, yaml_lines

URN = "urn:x"
TRICKY = [
    "1e3", "0x10", "010", "on", "null", "~", "true", "1:30", "- a", "a: b", "#x", "'", '"', "\\", "{a}", "[b]", "é",
    "状態", "a\u2028b", "\x1b[31m", "\ufffe", "😀", "=1+1", "@x", " a ", "${HOME}", "$${X", "a,b;c", "!tag", "&a",
    "*b", "%d", "@",
]  # fmt: skip


def found(*names: str, said: NodeWords | None = None, kind: Nature | None = None) -> list[FoundVariable]:
    return [
        FoundVariable(name, (at,), NodeAddress(URN, f"v{at}"), said or NodeWords(), kind or Nature("float64"))
        for at, name in enumerate(names)
    ]


def configured(folder: Path, tags: FoundTags) -> dict[str, object]:
    """The tags as the agent takes them."""
    lines = yaml_lines(tags.tags, tags.comments, "      ")
    head = "agent: {id: gw}\ndevices:\n  d:\n    type: opcua\n    url: opc.tcp://h\n    tags:\n"
    (folder / "agent.yaml").write_text(head + "\n".join(lines) + "\n")
    return dict(load(folder / "agent.yaml", {}).config.devices["d"].tags)


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    """And comes back as it was."""
    if text.encode("utf-8", "ignore").decode() != text:
        return
    mistakes: list[object] = []
    value = parse(f"{quoted(text)}: {spelled({'a': text.replace('${', '$${')})}\n", "x", {}, mistakes)  # type: ignore[arg-type]
    assert not mistakes
    assert value == {text: {"a": text}}


def test_the_configuration_loads_and_says_what_the_server_said(tmp_path: Path) -> None:
    """Names of any language are tag names, texts come through, and no variable of the environment is taken."""
    said = NodeWords("[degF]", -40.0, 2.5, "see ${HOME}: {x} # 'no' \"yes\"")
    tags = tags_of(found(*TRICKY, said=said))
    read = configured(tmp_path, tags)
    assert len(read) == len(TRICKY)
    assert {"é", "😀", "1e3", "${HOME}", "on"} <= read.keys()
    for tag in read.values():
        assert (tag.unit, tag.description, tag.range.min) == ("[degF]", said.description, -40.0)  # type: ignore[attr-defined]


def test_a_table_says_the_same(tmp_path: Path) -> None:
    """As `tags_file`, with units in brackets, and without what a spreadsheet would take for a formula."""
    names = [name for name in TRICKY if name.strip() == name]
    text = csv_of(tags_of(found(*names, said=NodeWords("[degF]", 0.0, 1.5, "=cmd ${HOME}"))).tags)
    (tmp_path / "tags.csv").write_text(text)
    head = "agent: {id: gw}\ndevices:\n  d: {type: opcua, url: opc.tcp://h, tags_file: tags.csv}\n"
    (tmp_path / "agent.yaml").write_text(head)
    read = load(tmp_path / "agent.yaml", {}).config.devices["d"].tags
    assert len(read) == len(names)
    assert {tag.description for tag in read.values()} == {"=cmd ${HOME}"}
    assert {tag.unit for tag in read.values()} == {"[degF]"}
    assert ",=cmd" not in text


def test_each_has_a_good_name_of_its_own() -> None:
    """Same names are told apart by node ids, as `browse:` does; too long and empty ones get one that fits."""
    names = list(tags_of(found("A/v", "A/v", "", "x" * 300, f"{'y' * 200}/{'z' * 200}", "a\nb", "broken\udcff")).tags)
    assert names[:2] == [f"A/v (nsu={URN};s=v0)", f"A/v (nsu={URN};s=v1)"]
    assert names[2] == f"nsu={URN};s=v2"
    assert names[4].startswith("z" * 200)
    assert names[5:] == ["a_b", "broken\\udcff"]
    assert len(set(names)) == 7
    for name in names:
        check_tag_name(name)


def test_what_cannot_be_read_or_is_not_wanted_is_counted() -> None:
    """By access, type, node ids that are no text, and nodes that are configured."""
    every = [
        *found("secret", kind=Nature("bool", read=False)), *found("text", kind=Nature("string")),
        FoundVariable("odd", (1,), NodeAddress(URN, "\udcff"), NodeWords(), Nature("float32")),
        FoundVariable("has", (2,), NodeAddress(URN, "has"), NodeWords(), Nature("float32")),
        FoundVariable("new", (3,), NodeAddress(3, 7), NodeWords(), Nature("float64[]", write=True, sampling_ms=250.0)),
        FoundVariable("unasked", (4,), NodeAddress(URN, 8)),
    ]  # fmt: skip
    tags = tags_of(every, ["float*"], {f"nsu={URN};s=has"})
    assert (tags.unreadable, tags.other, tags.unwritable, tags.known, tags.indexed) == (1, 2, 1, 1, 1)
    assert tags.comments == {"new": "float64[], writable, sampled every 250 ms at most"}
    assert parse_node_id(str(tags.tags["new"]["node"])) == NodeAddress(3, 7)


def test_the_tree_is_cut_where_it_would_be_long() -> None:
    """Folders with their counts, the first few variables of each."""
    names = [f"Line{line}/v{at}" for line in range(30) for at in range(50)]
    lines = tree(tags_of(found("top", "Line0", *names)))
    assert lines[0] == "top  float64"
    assert any(line.startswith("Line1/  (50)") for line in lines)
    assert any("44 more variables" in line for line in lines)
    assert len(lines) == 61


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("opc.tcp://10.0.0.7:4840/x", "opcua-10-0-0-7"),
        ("opc.tcp://cnc.local:4841", "opcua-cnc-local-4841"),
        ("opc.tcp://[::1]:4840", "opcua-1"),
    ],
)
def test_a_device_is_named_by_its_address(url: str, name: str) -> None:
    """Until somebody gives it a better one."""
    assert device_name(url) == name


def test_a_file_that_somebody_wrote_is_only_added_to() -> None:
    """Under the device at that url whatever its name; comments stay; a node that stands there stays as it is."""
    before = (
        "# plant\ndevices:\n  cnc:  # by hand\n    type: opcua\n    url: opc.tcp://h\n    tags:\n"
        "      speed: {node: ns=2;s=v0, unit: bar}  # mine\n      b: {node: ns=9;s=b}\n"
    )
    tags = tags_of(found("a", "b", "on"))
    addition = Addition("opcua-h", {"type": "opcua", "url": "opc.tcp://h"}, tags.tags, tags.comments, _same)
    text, added = with_tags(before, "x.yaml", addition)
    assert (added.device, added.added, added.kept) == ("cnc", 2, 1)
    assert text.startswith(before)
    assert 'b_2: {node: "nsu=urn:x;s=v1"} # float64' in text
    assert '"on": {node: "nsu=urn:x;s=v2"} # float64' in text
    assert with_tags(text, "x.yaml", addition)[1].added == 0


def test_a_file_keeps_how_it_is_written(tmp_path: Path) -> None:
    """Indentation, ends of lines, its mode, and the link that leads to it."""
    lists = "include:\n  - devices/*.yaml\n"
    before = f"{lists}devices:\n    press: {{type: modbus}}  # ours\n    saw:\n        type: modbus\n"
    file, link = tmp_path / "plant.yaml", tmp_path / "link.yaml"
    file.write_bytes(before.replace("\n", "\r\n").encode())
    file.chmod(0o600)
    link.symlink_to(file)
    assert merge_into(link, {"saw": {}, "mill": {"type": "modbus"}}) == ["saw"]
    added = "    mill:\n        type: modbus\n"
    assert file.read_bytes() == (before + added).replace("\n", "\r\n").encode()
    assert (link.is_symlink(), file.stat().st_mode & 0o777) == (True, 0o600)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("---\ndevices:\n  saw: {type: modbus}  # first\n", "...\n"),
        ("%YAML 1.1\n--- # plant\ndevices:\n  saw: {type: modbus}\n", "...\n# end\n"),
        ("---\ndevices:\n  saw: &first {type: modbus} # unused\n", "log: {}\n...\n"),
        ("devices:\n  saw:   {type: modbus}\n", "x-late: &late {a:   1}\n"),
    ],
)
def test_markers_of_a_document_stay(before: str, behind: str) -> None:
    """`---`, `...` and what stands behind it, also where the line above or below the addition has an unused anchor."""
    text, _ = merged(before + behind, "plant.yaml", {"mill": {"type": "modbus"}})
    assert text == f"{before}  mill:\n    type: modbus\n{behind}"


def test_comments_behind_anchors_stay_where_they_are(tmp_path: Path) -> None:
    """A round trip would move them to the next line, and drop the anchors that nobody uses."""
    before = (
        "x: &usual  # all meters\n  type: modbus\ndevices:  # of hall 2\n  saw: &saw   # the first\n"
        "    <<: *usual   # merged\n    tags: &tags  # shared\n      a: {address: 'holding:0'}\n"
    )
    file = tmp_path / "plant.yaml"
    file.write_text(before)
    merge_into(file, {"mill": {"type": "modbus"}})
    assert file.read_text() == before + "  mill:\n    type: modbus\n"


def test_spaces_and_narrow_blocks_stay() -> None:
    """Also of the line above what is added, and of a block that is indented by one where others are by two."""
    before = (
        "---\nagent: {id:   gw}   # ours\ndevices:\n  cnc:\n    type:   opcua\n    url: opc.tcp://h\n    tags:\n"
        '     "first":   {node: "i=1",unit: bar}  # mine\n'
    )
    tags = tags_of(found("a"))
    text, _ = with_tags(before, "x.yaml", Addition("cnc", None, tags.tags, tags.comments))
    assert text == before + '     a: {node: "nsu=urn:x;s=v0"} # float64\n'


def test_what_an_alias_gives_to_another_device_is_not_added_to(tmp_path: Path) -> None:
    """The other device would get tags that its server does not have. Nor is a file changed that is not UTF-8."""
    tags = tags_of(found("a"))
    addition = Addition("a", None, tags.tags, tags.comments)
    with pytest.raises(ConfigError, match="the tags of a are those of b too"):
        with_tags("x: &t {tags: {}}\ndevices:\n  a: {<<: *t}\n  b: {<<: *t}\n", "x", addition)
    file = tmp_path / "plant.yaml"
    file.write_bytes(b"devices: {}  # \xd6l\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        merge_into(file, {"mill": {"type": "modbus"}})


def _same(node: str) -> str:
    return node.replace("ns=2;", f"nsu={URN};")


def test_where_an_empty_mapping_stood_is_no_indentation() -> None:
    """`devices: {}` becomes a block like any other."""
    text, _ = merged("agent: {id: gw}\ndevices: {}\n", "x.yaml", {"mill": {"type": "modbus"}})
    assert text == "agent: {id: gw}\ndevices:\n  mill:\n    type: modbus\n"


def test_an_empty_file_becomes_one_and_a_missing_device_is_told() -> None:
    """A device of the configuration is not made anew in another file."""
    tags = tags_of(found("a"))
    text, _ = with_tags("", "x", Addition("d", {"type": "opcua", "url": "opc.tcp://h"}, tags.tags, tags.comments))
    assert 'url: "opc.tcp://h"\n    tags:\n      a: {node: "nsu=urn:x;s=v0"} # float64\n' in text
    with pytest.raises(ConfigError, match="there is no device 'd' in it"):
        with_tags("devices: {}\n", "x", Addition("d", None, tags.tags, tags.comments))
