"""What stands at the end of each command's `--help`: lines to copy."""

from __future__ import annotations

EXAMPLES = {
    "run": ("run -c agent.yaml",),
    "historian": ("historian -c historian.yaml",),
    "report": ("report -c historian.yaml --day 2026-11-28 -o day.html", "report -c historian.yaml --verify day.html"),
    "status": ("status -c agent.yaml",),
    "demo": ("demo --seconds 60",),
    "check": ("check -c agent.yaml", 'check -c agent.yaml --live --device "press-*"'),
    "read": (
        "read -c agent.yaml press-01 oil_temperature --watch 1s",
        "read --url tcp://192.168.10.21 holding:100 --type float32",
        "read --url tcp://192.168.10.21 holding:100..103 --orders --expect 50",
    ),
    "plan": ("plan -c agent.yaml", "plan -c agent.yaml press-01 --round-trip 80ms"),
    "scan": (
        "scan tcp://192.168.10.40 --units 1-10 -o devices/meters.yaml",
        'scan "serial:///dev/ttyUSB0?baudrate=9600&parity=E" --units 3 --range 0-999',
    ),
    "browse": (
        "browse opc.tcp://192.168.10.30:4840 > devices/cnc.yaml",
        'browse cnc-07 -c agent.yaml --path "Machine/*" -o devices/cnc-07.yaml',
    ),
    "convert": ("convert telegraf.conf > devices/from-telegraf.yaml",),
    "logs": ('logs agent.log --level warning --since 1h --device "press-*"', "logs agent.log --follow"),
    "schema": ("schema config > config.json",),
    "simulate": ("simulate -c agent.yaml --broker > rehearsal.yaml", "simulate press-01.rec"),
    "record": ("record -c agent.yaml press-01 -o press-01.rec --seconds 60",),
    "tail": ("tail -c agent.yaml --device press-01", "tail --url mqtt://broker.plant.local:1883 --once"),
    "verify": ("verify -c agent.yaml --seconds 60",),
    "trust": ("trust -c agent.yaml", "trust -c agent.yaml cnc-07"),
    "support-bundle": ("support-bundle -c agent.yaml -o bundle.tar.gz",),
    "outbox": ("outbox -c agent.yaml", "outbox requeue -c agent.yaml --all"),
    "diff": ("diff -c agent.yaml",),
    "reload": ("reload -c agent.yaml --wait 30s",),
}


def epilog(command: str) -> str:
    """Its examples; the first line has the help keep them as lines."""
    return "\n".join(["\b", "Examples:", *(f"  edge-agent {one}" for one in EXAMPLES[command])])
