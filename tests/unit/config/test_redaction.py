"""What is taken out of texts that are handed to people outside the plant."""

from __future__ import annotations

from agent.config.redaction import Redaction
from tests.unit.config.test_loader import loaded

MAIN = """
agent: {id: gw}
publishers:
  plant:
    type: mqtt
    url: "mqtts://${BROKER}:8883"
    username: gw
    password_file: password
    tls: {cert_file: gw.pem, key_file: gw.key}
  cloud: {type: mqtt, url: "mqtts://cloud.example", username: gw, password: "${PASSWORD}", root: "${SHORT}"}
"""
ENVIRON = {"BROKER": "broker.secret.example", "PASSWORD": 'quo"ted\\secret', "SHORT": "on"}
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHplanted\n-----END PRIVATE KEY-----\n"


def redaction(tmp_path) -> Redaction:
    files = {"agent.yaml": MAIN, "password": "from-a-file\n", "gw.pem": "PLANTEDCERT\n", "gw.key": KEY}
    return Redaction(loaded(tmp_path, files, ENVIRON), ENVIRON)


def test_known_secrets_go_wherever_they_stand(tmp_path):
    """Values of the environment by their name, lines of files and users of URLs as `…`; in keys and lists too."""
    redact = redaction(tmp_path)
    told = {
        "reason": 'refused quo"ted\\secret of gw',
        "bus broker.secret.example": ["from-a-file", 7, None, True, "mqtt://u:p/w@h?x=1"],
        "key": KEY,
    }
    assert redact(told) == {
        "reason": "refused ${PASSWORD} of gw",
        "bus ${BROKER}": ["…", 7, None, True, "mqtt://…@h?…"],
        "key": "…\n…\n…\n",
    }


def test_a_short_value_goes_only_where_it_is_the_whole_text(tmp_path):
    """`on` is in every other word."""
    redact = redaction(tmp_path)
    assert redact(["on", "online"]) == ["${SHORT}", "online"]


def test_metrics_keep_their_figures(tmp_path):
    """Only values of labels are looked at, as they are escaped there."""
    page = '# HELP x of gw, "on"\nx{a="quo\\"ted\\\\secret",b="7"} 1883.0\nx{a="line\\nend"} 2\n'
    assert redaction(tmp_path).metrics(page) == (
        '# HELP x of gw, "on"\nx{a="${PASSWORD}",b="7"} 1883.0\nx{a="line\\nend"} 2\n'
    )


def test_without_a_configuration_urls_are_hidden():
    """A configuration that cannot be read names no secret."""
    assert Redaction().text("mqtt://u:p@h refused") == "mqtt://…@h refused"
