"""A configuration → the one that reads simulated devices in place of the real ones. Pure.

It stands for itself: templates, tables and included files are in it, secrets and certificates are not. Nothing in it
names a device or a broker of the plant, so a rehearsal can neither disturb nor deceive one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.config import routed
from agent.config.loader import Loaded
from agent.config.located import Map
from agent.settings.devices import DeviceConfig
from agent.settings.publishers import PublisherConfig
from agent.settings.tags import TagBase
from agent.workbench.convert.written import Line, dumped

#: Where messages go if nobody says otherwise.
LOCAL_BROKER = "mqtt://127.0.0.1:1883"
#: Beside the file that is printed: the data of the real agent stay untouched.
DATA_DIR = "rehearsal"

#: How the real device is reached, and who asks.
_WAY = {
    "modbus": {"url", "tls", "dtu", "allow"},
    "opcua": {
        "url", "urls", "reverse", "allow", "endpoint_url", "security", "server_name", "server_uri", "password",
        "password_file", "user_certificate", "user_private_key", "username",
    },
}  # fmt: skip
#: Of `workarounds`: what a connection on loopback has no use for.
_ODD = {"echo", "ignore_unit", "transaction_ids", "mbap_length", "extra_zeros"}
_TO_BROKER = {
    "url", "other_urls", "proxy", "proxy_username", "proxy_password_file", "username", "username_file", "password",
    "password_file", "tls", "client_id", "was", "version",
}  # fmt: skip


def one_broker(loaded: Loaded) -> dict[str, PublisherConfig]:
    """The publishers that can share one broker, the local one: no two write the same topics."""
    config, found = loaded.config, dict[str, PublisherConfig]()
    for name, publisher in config.publishers.items():
        if publisher.type != "mqtt":
            continue
        moved = publisher.model_copy(update={"url": LOCAL_BROKER, "other_urls": [], "client_id": None, "was": None})
        both = config.model_copy(update={"publishers": {**found, name: moved}})
        if not list(routed.mistakes(both, {one: Map("", 0) for one in both.publishers})):
            found[name] = moved
    return found


def rehearsed(loaded: Loaded, urls: Mapping[str, str], broker: str = LOCAL_BROKER) -> dict[str, Any]:
    """The configuration, with the devices in `urls` (name → where the stand-in is) and no other."""
    config = loaded.whole
    head = config.model_dump(
        mode="json", exclude_defaults=True,
        exclude={"include", "templates", "devices_file", "devices", "publishers", "http", "history"},
    )  # fmt: skip
    head["agent"] = {
        **{key: value for key, value in head["agent"].items() if key not in ("data_dir", "shard")},
        "location": list(config.agent.location), "data_dir": DATA_DIR,
    }  # fmt: skip
    head["http"] = None if config.http is None else {"port": config.http.port}
    head["publishers"] = {name: _publisher(one, broker) for name, one in one_broker(loaded).items()}
    head["devices"] = {name: _device(config.devices[name], url) for name, url in urls.items()}
    return _escaped(head)  # type: ignore[no-any-return]  # what goes in as a mapping comes out as one


def _device(device: DeviceConfig, url: str) -> dict[str, Any]:
    tables = device.tables()
    keys = device.model_dump(
        mode="json", exclude_defaults=True, exclude={*tables, *_WAY.get(device.type, ()), "tags_file"}
    )
    if odd := keys.get("workarounds"):
        keys["workarounds"] = {key: value for key, value in odd.items() if key not in _ODD}
    keys = {"type": device.type, "url": url, **{key: value for key, value in keys.items() if value != {}}}
    return keys | {key: {name: _tag(one) for name, one in table.items()} for key, table in tables.items() if table}


def _tag(tag: TagBase) -> dict[str, Any]:
    keys = tag.model_dump(
        mode="json", exclude_defaults=True, exclude={"index_range"}
    )  # the stand-in has the part alone
    for key in ("null_values", "enum"):  # JSON has no numbers as keys
        if isinstance(value := getattr(tag, key), Mapping):
            keys[key] = dict(value)
    return keys


def _publisher(publisher: PublisherConfig, broker: str) -> dict[str, Any]:
    keys = publisher.model_dump(mode="json", exclude_defaults=True, exclude=_TO_BROKER)
    if publisher.encoder is not None:
        keys["encoder"] = {"type": publisher.encoder.type, **keys.get("encoder", {})}
    return {"type": publisher.type, "url": broker, **keys}


def _escaped(value: object) -> Any:
    """Text as the loader reads it: what looks like a variable of the environment is none any more."""
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


# --- as text ----------------------------------------------------------------------------------------------------------


def text_of(document: Mapping[str, Any]) -> str:
    """The document as YAML, a line for each tag."""
    shown = {**document, "devices": {name: _lines(keys) for name, keys in document["devices"].items()}}
    return dumped(shown)


def _lines(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: Line(one) for name, one in value.items()} if key in ("tags", "events") else value
        for key, value in keys.items()
    }
