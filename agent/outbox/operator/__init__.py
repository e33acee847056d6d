"""What `edge-agent outbox` asks: `protocol` and `queries`; `service` answers while an agent runs, `client` asks."""
