"""The embedded broker's own process: it has no way to stop, so its process ends, with the pipe its parent holds."""

from __future__ import annotations

import os
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 4096):  # until the parent's end closes, by whatever death; sys.stdin would lock the exit
        pass
    os._exit(0)


def main(configuration: str) -> None:
    """Run the broker until standard input closes."""
    from iotcore.iotcore import IotCoreBroker

    threading.Thread(target=_end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=configuration).run_forever()


if __name__ == "__main__":
    main(sys.argv[1])
