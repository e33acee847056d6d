"""One description for many devices: templates, tables of devices, ranges of tags, workbooks."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.modbus.tags.ranges import spread
from agent.config.loader import Loaded, load
from agent.core.errors import ConfigError
from agent.settings.devices import DeviceConfig

HEAD = (
    'agent: {id: gw-01, location: [acme], data_dir: data}\npublishers: {plant: {type: mqtt, url: "mqtt://localhost"}}\n'
)
TEMPLATE = """templates:
  sdm630:
    parameters: {unit_id: null, line: line-1, ct_ratio: 1}
    device:
      type: modbus
      url: tcp://${GATEWAY}:502
      unit_id: "${unit_id}"
      location: [acme, energy, "hall-${line}"]
      interval: 5s
      tags:
        power: {address: "input:52", type: float32, unit: W, scale: "${ct_ratio}"}
        energy: {address: "input:72", type: float32, unit: kWh, description: "${line}: $${x}"}
"""
ENV = {"GATEWAY": "10.0.0.1"}
NEEDS = "the template sdm630 needs the parameter `unit_id` -> write `with: {unit_id: …}`, or fill the column `unit_id`"


def read(folder: Path, text: str, environ: Mapping[str, str] = ENV, **files: str) -> Loaded:
    """A configuration and the files beside it (`meters_csv` becomes meters.csv)."""
    for name, content in files.items():
        (folder / name.replace("_csv", ".csv").replace("_yaml", ".yaml")).write_text(content, encoding="utf-8")
    (folder / "agent.yaml").write_text(HEAD + text, encoding="utf-8")
    return load(folder / "agent.yaml", environ)


def mistakes(folder: Path, text: str, environ: Mapping[str, str] = ENV, **files: str) -> list[str]:
    """Each as it is shown, without the folder."""
    with pytest.raises(ConfigError) as raised:
        read(folder, text, environ, **files)
    return [str(mistake).replace(f"{folder}/", "") for mistake in raised.value.mistakes]


def modbus(device: DeviceConfig) -> ModbusConfig:
    assert isinstance(device, ModbusConfig)
    return device


def workbook(path: Path, rows: Sequence[Sequence[object]], sheet: str = "Meters") -> None:
    """A workbook whose second sheet has these rows."""
    book = Workbook()
    cells = book.create_sheet(sheet)
    for row in rows:
        cells.append(list(row))
    book.save(path)


def test_a_device_is_its_template_with_its_parameters(tmp_path: Path) -> None:
    """Parameters keep their type, the environment is put in beside them, and what stands beside `with:` wins."""
    text = TEMPLATE + (
        "devices:\n"
        "  meter-07:\n    template: sdm630\n    with: {unit_id: 7, ct_ratio: 40}\n    interval: 1s\n"
        '    tags: {energy: {address: "input:342", type: float32}, hours: {address: "input:9"}}\n'
    )
    device = modbus(read(tmp_path, text).config.devices["meter-07"])
    assert (device.unit_id, device.url, device.interval) == (7, "tcp://10.0.0.1:502", 1.0)
    assert device.location == ["acme", "energy", "hall-line-1"]
    assert list(device.tags) == ["power", "energy", "hours"]
    assert device.tags["power"].scale == 40
    assert (str(device.tags["energy"].address), device.tags["energy"].unit) == ("input:342", None)


def test_what_was_put_in_is_not_expanded_again(tmp_path: Path) -> None:
    """A parameter that looks like a reference stays what it is; `$${` is the characters themselves."""
    text = TEMPLATE + "devices: {m: {template: sdm630, with: {unit_id: 1, line: '$${GATEWAY}'}}}\n"
    device = modbus(read(tmp_path, text).config.devices["m"])
    assert device.tags["energy"].description == "${GATEWAY}: ${x}"
    assert device.location == ["acme", "energy", "hall-${GATEWAY}"]


def test_what_came_out_of_the_environment_is_known_as_such(tmp_path: Path) -> None:
    """Whoever shows the configuration shows `${GATEWAY}`, not its value."""
    text = TEMPLATE + "devices: {m: {template: sdm630, with: {unit_id: 1}}}\n"
    loaded = read(tmp_path, text)
    assert loaded.written["devices", "m", "url"] == "tcp://${GATEWAY}:502"
    assert "unit_id" not in {path[-1] for path in loaded.written}


def test_a_template_changes_the_meaning_only_where_it_is_used(tmp_path: Path) -> None:
    """The same devices written out have the same hash."""
    plain = (
        "devices: {m: {type: modbus, url: 'tcp://10.0.0.1:502', unit_id: 3, location: [acme, energy, hall-line-1], "
        "interval: 5s, tags: {power: {address: 'input:52', type: float32, unit: W, scale: 1}, "
        "energy: {address: 'input:72', type: float32, unit: kWh, description: 'line-1: $${x}'}}}}\n"
    )
    assert (
        read(tmp_path, TEMPLATE + "devices: {m: {template: sdm630, with: {unit_id: 3}}}\n").hash
        == read(tmp_path, plain).hash
    )


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("template: sdm30", "`devices.m.template`: there is no template 'sdm30' -> did you mean `sdm630`?"),
        ("template: sdm630", f"`devices.m`: {NEEDS}"),
        (
            "template: sdm630, with: {unit_id: 1, lien: 2}",
            "`devices.m`: the template sdm630 has no parameter 'lien' -> did you mean `line`?",
        ),
        (
            "template: sdm630, with: 7",
            "`devices.m`: `with` is not a mapping -> write {unit_id: …, line: …, ct_ratio: …}",
        ),
        (
            "template: sdm630, with: {unit_id: 300}",
            "`devices.m.unit_id`: 300 is out of bounds -> write a number at most 255",
        ),
    ],
)
def test_mistakes_of_a_device_are_told_at_the_device(tmp_path: Path, device: str, expected: str) -> None:
    """An unknown template, a missing or unknown parameter, and a wrong value: where the device says it."""
    [told] = mistakes(tmp_path, TEMPLATE + f"devices:\n  m: {{{device}}}\n")
    assert told == f"agent.yaml:16: {expected}"


def test_a_mistake_of_a_template_is_told_once(tmp_path: Path) -> None:
    """However many devices use it."""
    rows = "name,template,unit_id\n" + "".join(f"m-{n},sdm630,{n}\n" for n in range(1, 51))
    text = TEMPLATE.replace("type: float32, unit: W", "type: flot32, unit: W") + "devices_file: meters.csv\n"
    [told] = mistakes(tmp_path, text, meters_csv=rows)
    assert told.startswith("agent.yaml:13: `templates.sdm630.device.tags.power.type`: 'flot32' is not one of")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{parameters: {}}", "`templates.t` has no mapping `device`"),
        ("{parameters: [a], device: {type: modbus}}", "`templates.t.parameters` is not a mapping"),
        ("{parameters: {1a: 2}, device: {type: modbus}}", "`templates.t.parameters`: '1a' is no name"),
        ("{device: {template: other}}", "`templates.t`: a template cannot use a template"),
        ("{device: {type: modbus}, with: {}}", "`templates.t.with` is not a key"),
        ("7", "`templates.t`: 7 is not a mapping"),
    ],
)
def test_mistakes_in_a_template(tmp_path: Path, template: str, expected: str) -> None:
    """They are told of the template, not of each device that would use it."""
    [told] = mistakes(tmp_path, f"templates:\n  t: {template}\ndevices: {{a: {{template: t}}, b: {{template: t}}}}\n")
    assert expected in told


def test_a_missing_variable_of_a_template_is_told_where_it_is_written(tmp_path: Path) -> None:
    """Once, with the way out that a template has."""
    [told] = mistakes(tmp_path, TEMPLATE + "devices: {m: {template: sdm630, with: {unit_id: 1}}}\n", {})
    assert told.startswith("agent.yaml:8: the environment variable GATEWAY is not set")
    assert told.endswith("or declare it under `parameters:`")


def test_templates_and_tables_in_included_files(tmp_path: Path) -> None:
    """Files they name are looked for beside the file that names them."""
    (tmp_path / "energy").mkdir()
    (tmp_path / "energy/sdm.csv").write_text("tag,address,type\npower,input:52,float32\n")
    (tmp_path / "energy/meters.csv").write_text("name;template;unit_id\nm-1;sdm;1\n")
    (tmp_path / "energy/part.yaml").write_text(
        "devices_file: meters.csv\ntemplates:\n  sdm:\n    parameters: {unit_id: null}\n"
        "    device: {type: modbus, url: 'tcp://h', unit_id: '${unit_id}', tags_file: sdm.csv}\n"
    )
    text = "include: [energy/*.yaml]\ndevices: {m-2: {template: sdm, with: {unit_id: 2}}}\n"
    loaded = read(tmp_path, text)
    assert {name: list(device.tag_table) for name, device in loaded.config.devices.items()} == {
        "m-1": ["power"], "m-2": ["power"]
    }  # fmt: skip
    assert {path.name for path in loaded.reads.tables} == {"meters.csv", "sdm.csv"}


def test_fifty_meters_of_a_table(tmp_path: Path) -> None:
    """51 rows; a column is a parameter, or a key of a device that overrides the template's; blank is absent."""
    rows = "name,template,unit_id,line,interval,batch.max_delay\n"
    rows += "".join(
        f"meter-{n},sdm630,{n},{'line-2' if n % 2 else ''},{'1s' if n == 9 else ''},\n" for n in range(1, 51)
    )
    devices = read(tmp_path, TEMPLATE + "devices_file: meters.csv\n", meters_csv=rows).config.devices
    assert len(devices) == 50
    assert [modbus(device).unit_id for device in devices.values()] == list(range(1, 51))
    assert devices["meter-9"].interval == 1.0
    assert devices["meter-9"].location == ["acme", "energy", "hall-line-2"]
    assert devices["meter-10"].location == ["acme", "energy", "hall-line-1"]


def test_a_row_may_be_a_device_without_a_template(tmp_path: Path) -> None:
    """Any key of a device is a column."""
    rows = 'name,type,url,unit_id,tags\nm-1,modbus,tcp://h,4,"{a: {address: ""holding:1""}}"\n'
    device = modbus(read(tmp_path, "devices_file: [meters.csv]\n", meters_csv=rows).config.devices["m-1"])
    assert (device.unit_id, list(device.tags)) == (4, ["a"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("name,template,unitid\nm,sdm630,1\n", "1: `unitid` is not a column -> did you mean `unit_id`?"),
        (
            "template,unit_id\nsdm630,1\n",
            "1: no column `name` -> the first line names the columns: name, template, …",
        ),
        ("name,template,unit_id\nm,sdm630,\n", f"2: `devices.m`: {NEEDS}"),
        (
            "name,template,unit_id\nm,sdm630,1\nm,sdm630,2\n",
            "3: the device `m` stands here a second time; the first is in line 2 -> keep one of them",
        ),
        (
            "name,template,unit_id\nx,sdm630,1\n",
            "2: `devices.x` stands here a second time; the first is in agent.yaml:16 -> give one of them another name",
        ),
        (
            "name,template,unit_id\nm,sdm630,one\n",
            "2: `devices.m.unit_id`: 'one' is not a whole number -> write a whole number",
        ),
        (
            "name,template,unit_id\nPress 1,sdm630,1\n",
            "2: `devices`: 'Press 1' is not a name -> use 1 to 64 of A-Z a-z 0-9 _ -, for example Press-1,"  # noqa: ISC004 - one line
            " and keep 'Press 1' as its `description`",
        ),
    ],
)
def test_mistakes_in_a_table_of_devices(tmp_path: Path, rows: str, expected: str) -> None:
    """They name the row."""
    text = TEMPLATE + "devices:\n  x: {template: sdm630, with: {unit_id: 9}}\ndevices_file: meters.csv\n"
    assert mistakes(tmp_path, text, meters_csv=rows) == [f"meters.csv:{expected}"]


def test_a_sheet_is_read_like_a_table(tmp_path: Path) -> None:
    """Whole numbers are integers, blank cells absent keys, a formula its stored value; `#Sheet` names the sheet."""
    workbook(
        tmp_path / "meters.xlsx",
        [["name", "template", "unit_id"], ["m-1", "sdm630", 3.0], [None], ["m-2", "sdm630", 4]],
    )
    workbook(tmp_path / "tags.xlsx", [["tag", "address", "scale"], ["a", "holding:1", 0.5], ["b", 40021, None]], "Tags")
    text = TEMPLATE + (
        "devices_file: 'meters.xlsx#Meters'\n"
        "devices: {p: {type: modbus, url: 'tcp://p', tags_file: 'tags.xlsx#Tags'}}\n"
    )
    devices = read(tmp_path, text).config.devices
    assert [modbus(devices[name]).unit_id for name in ("m-1", "m-2")] == [3, 4]
    assert modbus(devices["p"]).tags["a"].scale == 0.5
    assert str(modbus(devices["p"]).tags["b"].address) == "holding:20"


def test_mistakes_in_a_sheet_name_the_cell(tmp_path: Path) -> None:
    """As the program shows it in which the sheet is edited."""
    workbook(
        tmp_path / "meters.xlsx", [["name", "template", "unit_id"], ["m-1", "sdm630", "three"], ["m-1", "sdm630", 4]]
    )
    told = mistakes(tmp_path, TEMPLATE + "devices_file: 'meters.xlsx#Meters'\n")
    assert [one.partition(" ")[0] for one in told] == ["meters.xlsx#Meters!C2:", "meters.xlsx#Meters!A3:"]
    assert "the first is in A2" in told[1]
    told = mistakes(tmp_path, TEMPLATE + "devices_file: 'meters.xlsx#Metres'\n")
    assert told == [
        "meters.xlsx: the workbook has no sheet 'Metres' -> write one of meters.xlsx#Sheet, meters.xlsx#Meters"
    ]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            ["interval", "5s", None, None],
            "#Meters!C2: the rows 2 to 3 share a merged cell -> unmerge them and fill in each",
        ),
        (["description", date(2026, 2, 1), "b", "c"], "#Meters!C2: a date -> Excel makes dates of 1-2 or 3/4"),
        (
            ["description", '="a"&1', "b", "c"],
            "#Meters!C2: a formula without its value -> open the file in Excel and save",
        ),
    ],
)
def test_cells_that_say_less_than_they_show(tmp_path: Path, column: Sequence[object], expected: str) -> None:
    """Merged rows would give only the first of them the value, a date is none that anybody wrote."""
    rows = zip(["name", "m-1", "m-2", "m-3"], ["template", "sdm", "sdm", "sdm"], column, strict=True)
    workbook(tmp_path / "m.xlsx", [list(row) for row in rows])
    if "merged" in expected:
        book = load_workbook(tmp_path / "m.xlsx")
        book["Meters"].merge_cells("C2:C3")
        book.save(tmp_path / "m.xlsx")
    assert f"m.xlsx{expected}" in " | ".join(mistakes(tmp_path, TEMPLATE + "devices_file: m.xlsx#Meters\n"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "name,template\n".encode("utf-16"),
            "m.csv: the file is UTF-16 -> save the file as UTF-8 (in Excel: CSV UTF-8)",
        ),
        ("name,template\n".encode("utf-16-be"), "m.csv: the file is UTF-16 -> "),
        ("name,description\nm,Ö\n".encode("latin-1"), "m.csv:2: byte 0xD6 is not UTF-8 -> "),
        (
            b"PK\x03\x04 a workbook",
            "m.csv: the file is a workbook of Excel -> name it .xlsx, or save it as CSV (UTF-8)",
        ),
        (b"\xd0\xcf\x11\xe0", "m.csv: the file is an old workbook of Excel -> save it as .xlsx, or as CSV (UTF-8)"),
        (b"sep=;\nname;template\n", "m.csv:1: no column `name` -> remove this line"),
        (b"Meters of hall 2,,\nname,template\n", "m.csv:1: no column `name` -> remove this line"),
    ],
)
def test_what_is_no_table_of_text(tmp_path: Path, data: bytes, expected: str) -> None:
    """Other encodings, other files, lines above the names of the columns."""
    (tmp_path / "m.csv").write_bytes(data)
    assert expected in " | ".join(mistakes(tmp_path, TEMPLATE + "devices_file: m.csv\n"))


def test_what_is_no_workbook(tmp_path: Path) -> None:
    """Another file under that name, and one that unpacks to more than anybody typed, are refused before they cost."""
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 no zip")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(70 << 20))
    told = mistakes(tmp_path, TEMPLATE + "devices_file: [a.xlsx, b.xlsx, c.xlsx]\n")
    assert "a.xlsx: not a workbook: BadZipFile -> save it as .xlsx or as CSV (UTF-8)" in told
    assert (
        "b.xlsx: the workbook unpacks to 70 MiB, more than 64 MiB -> keep what the table needs in a file of its own"
        in told
    )
    assert any("there is no file c.xlsx" in one for one in told)


@pytest.mark.parametrize(
    ("name", "address", "size", "first", "last", "count"),
    [
        ("cell_{n}", "holding:100..119", 1, ("cell_1", "holding:100"), ("cell_20", "holding:119"), 20),
        ("cell_{n}", "holding:100..119", 2, ("cell_1", "holding:100"), ("cell_10", "holding:118"), 10),
        ("c{n}", "40101..40110", 1, ("c1", "holding:100"), ("c10", "holding:109"), 10),
        ("k{n}", "coil:0..7", 1, ("k1", "coil:0"), ("k8", "coil:7"), 8),
        ("bit{n}", "input:10.0..15", 1, ("bit1", "input:10.0"), ("bit16", "input:10.15"), 16),
        ("bit{n}", "input:10.8..input:11.7", 1, ("bit1", "input:10.8"), ("bit16", "input:11.7"), 16),
    ],
)
def test_a_range_is_written_out(
    name: str, address: str, size: int, first: tuple[str, str], last: tuple[str, str], count: int
) -> None:
    """From the first to the last place it covers, as many registers each as the type has."""
    tags = list((spread(name, address, size) or {}).items())
    assert (tags[0], tags[-1], len(tags)) == (first, last, count)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("cell,holding:1..9,", "a range of addresses needs a name for each -> put {n} into it: `cell_{n}`"),
        ("c{n},holding:1..9,float32", "holding:1..9 covers 9 places, and each tag takes 2"),
        ("c{n},holding:9..1,", "holding:9..1 covers 0 places, and each tag takes 1"),
        ("c{n},holding:1..coil:9,", "does not stay in one area"),
        ("c{n},holding:0..65535,", "stands for 65,536 tags -> at most 10,000"),
        ("c{n},holding:1..9,flot32", "'flot32' is not one of"),
    ],
)
def test_mistakes_in_a_range(tmp_path: Path, row: str, expected: str) -> None:
    """They are told at its row, once."""
    text = "devices: {p: {type: modbus, url: 'tcp://p', tags_file: t.csv}}\n"
    [told] = mistakes(tmp_path, text, t_csv=f"tag,address,type\n{row}\n")
    assert told.startswith("t.csv:2: ")
    assert expected in told


def test_ranges_in_a_table_and_in_yaml(tmp_path: Path) -> None:
    """Both; every other key of the row holds for each tag."""
    text = "devices: {p: {type: modbus, url: 'tcp://p', tags_file: t.csv, tags: {'k{n}': {address: 'coil:0..3'}}}}\n"
    tags = modbus(
        read(tmp_path, text, t_csv="tag,address,type,unit\ncell_{n},holding:100..119,,V\n").config.devices["p"]
    ).tags
    assert list(tags) == [*(f"k{n}" for n in range(1, 5)), *(f"cell_{n}" for n in range(1, 21))]
    assert {tags[f"cell_{n}"].unit for n in range(1, 21)} == {"V"}


def test_a_configuration_has_so_many_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a template multiplies is told once, where it becomes too much, and nothing more is made of it."""
    monkeypatch.setattr("agent.config.parts.MOST_TAGS", 100)
    template = "templates: {t: {device: {type: modbus, url: 'tcp://p', tags: {'a{n}': 'coil:0..49'}}}}\n"
    devices = "devices:\n" + "".join(f"  d{number}: {{template: t, unit_id: {number}}}\n" for number in range(1, 9))
    [told] = mistakes(tmp_path, template + devices)
    assert "`templates.t.device.tags`: with these the configuration has more than 100 tags" in told
    finds = "  d{}: {{type: opcua, url: 'opc.tcp://p', browse: {{}}}}\n"
    [told] = mistakes(tmp_path, "devices:\n" + "".join(finds.format(number) for number in range(103)))
    assert "`devices.d100.tags`: with these" in told
