"""The broker that a publisher of an agent's configuration speaks to, as a consumer reaches it. Pure."""

from __future__ import annotations

from agent.consumer.target import Target
from agent.publishers.mqtt.config import MqttConfig

DEFAULT_ROOT = "edge"


def target_of(publisher: MqttConfig) -> Target:
    """Address, credentials and TLS of a publisher."""
    password = publisher.password
    return Target.of(
        publisher.url,
        tls=publisher.tls,
        username=publisher.username,
        password=password.get_secret_value() if password is not None else None,
        password_file=publisher.password_file,
    )
