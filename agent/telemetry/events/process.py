"""The process, its configuration, its log and its supervised components."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # the process
    "agent.starting": Event("info", "Configuration accepted; parts are being opened."),
    "agent.started": Event("info", "Every part is open and supervised."),
    "agent.summary": Event(
        "info",
        "Once an hour, what it brought: `devices_online` of `devices` now, `readings`, of them `bad`, messages "
        "`published`, records `lost` and `quarantined`, and the `backlog` that waits now.",
    ),
    "agent.writer_stuck": Event(
        "error",
        "The writer of an outbox has not finished a round for `seconds`. The watchdog of systemd is not fed any more: "
        "the agent is restarted. What is on disk stays.",
        "Look at the data disk (dmesg): it does not answer, or has become very slow.",
    ),
    "agent.notify_failed": Event("debug", "The service manager (systemd) could not be notified: `reason`."),
    "agent.stopping": Event("info", "SIGTERM or SIGINT: devices are disconnected and outboxes drained."),
    "agent.stopped": Event("info", "Clean end; `left` records wait on disk for the next start."),
    "agent.no_socket": Event(
        "warning",
        "The socket `file`, by which commands reach the running agent, cannot be made: `reason`. All else works.",
        "Make data_dir writable for the agent's user; it is tried again every minute.",
    ),
    "agent.clock_stepped": Event("warning", "The wall clock was set forward or back by `seconds`."),
    "agent.clock_unsynced": Event(
        "warning",
        "The wall clock was never set; readings carry `clock: unsynced`.",
        "Let the gateway reach a time server. What waits unsent by then gets its right times.",
    ),
    "agent.loop_blocked": Event(
        "warning",
        "The event loop did not run for `seconds`: the machine is overloaded or a part is wrong.",
        "See what uses the processor. If it is the agent, read less often; on an idle machine, report it.",
    ),
    # configuration
    "config.loaded": Event("info", "A configuration was read: hash, counts."),
    "config.warning": Event("warning", "Something in the configuration is allowed, but probably not meant: `reason`."),
    "config.rejected": Event(
        "error",
        "The configuration has mistakes; `mistakes` lists them with file and line.",
        "Correct the lines it names; `edge-agent check` says whether all are right. At a start nothing was started "
        "(exit code 2); a running agent goes on with the configuration it has.",
    ),
    "config.reloaded": Event(
        "info",
        "Another configuration is in force (`hash`): what was added, removed, replaced (new connection) and retagged "
        "(other tags over the same connection), publishers and other settings. Reading and validating took `read_ms`, "
        "putting it in force `applied_ms`.",
    ),
    "config.unchanged": Event("info", "The configuration was read again; it means what runs already. Nothing changed."),
    "config.reload_off": Event(
        "warning",
        "A reload was asked for (`reason`), and `agent.reload` is off in the configuration that runs: nothing is read.",
        "Restart the agent, or set `agent.reload: signal` before its next start.",
    ),
    "config.files_changed": Event(
        "info", "Files of the configuration changed (`files`; with `agent.reload: watch`): it is read again."
    ),
    "config.files_missing": Event(
        "warning",
        "Files of the configuration are missing (`files`; with `agent.reload: watch`). The agent goes on without them.",
        "Put them back; a new configuration is read when all of them are there.",
    ),
    "config.secrets_changed": Event(
        "info", "Secrets or certificates changed (`files`): they are used at the next connection."
    ),
    # the log itself
    "log.lines_lost": Event(
        "warning",
        "Nobody read the log for a while; so many lines (`lines`) were left out.",
        "Whoever reads standard output is too slow or stuck: look at journald, or the container's log driver. "
        "No data is lost.",
    ),
    # supervised components
    "component.failed": Event(
        "error",
        "A component cannot work as configured; the others go on. Tried again in `retry_in_s`, every 5 min; absent "
        "where only a restart of the agent helps.",
        "Read `reason`. A file or permission that was missing counts at the next try, a changed configuration "
        "after a reload.",
    ),
    "component.waits": Event("debug", "A component that failed waits `retry_in_s` before it is opened again."),
    "component.waits_for_file": Event(
        "warning",
        "A component does not start before a secret or certificate file can be used (`key`, `reason`, `hint`); the "
        "others run. The file is looked for every 5 s.",
        "Do what `hint` says. The component starts by itself when the file is there.",
    ),
    "component.retry": Event(
        "warning", "A component without a state of its own failed (`reason`) and is opened again."
    ),
    "component.bug": Event(
        "error",
        "An error the agent did not expect: a bug in it. The traceback is logged once; the part is opened again.",
        "Report the traceback. The part is opened again by itself. Where it never recovers, `component` says "
        "what to take out of the configuration.",
    ),
    "component.stop_slow": Event("warning", "A component needs long to stop."),
    # the web
    "http.listening": Event("info", "Health, metrics and status are served, with `tls` or without."),
    "http.login_failed": Event(
        "warning",
        "Wrong tokens came from one peer (`failed`); logged at most once a minute, slowed, and from the fifth within a "
        "minute on answered 429.",
    ),
    "http.token_unusable": Event(
        "warning",
        "The `file` of `http.auth.token_file` holds no token that can be used (`reason`): no login is possible.",
        "Put the token into the file, one line, readable for the user the agent runs as. It is used at once.",
    ),
    "http.certificate_unusable": Event(
        "warning",
        "A renewed certificate of the HTTP port cannot be used (`reason`): the one before stays in use.",
        "Put certificate and key under `tls:` of `http:` right. They are tried again at the next connection.",
    ),
    "http.handshake_failed": Event(
        "info",
        "A peer did not get through the TLS handshake of the HTTP port (`reason`); logged at most once a minute.",
    ),
    "http.exhausted": Event(
        "warning",
        "The HTTP port cannot take connections, the process or the machine has none left (`reason`). Devices and "
        "publishers are not affected; new connections are accepted as soon as that is over.",
        "Raise LimitNOFILE in the unit file (65,536), or find what holds so many: `ls /proc/PID/fd`.",
    ),
    "http.crowded": Event(
        "warning", "Too many connections at the HTTP port, or descriptors are scarce: one of `peer` was closed."
    ),
    # the history for the page
    "history.set_aside": Event(
        "warning",
        "The history `file` is broken or another program's (`reason`): it was renamed to `aside`, and a new one is "
        "begun. Only trends on the page are lost.",
    ),
    "history.not_kept": Event(
        "warning",
        "Minutes of the history were not written: `reason`. Trends on the page have a gap; no data is lost.",
        "Free the disk of `data_dir`, or set `history: null`.",
    ),
    "history.kept_again": Event("info", "The history is written again."),
    # bridged libraries
    "library.message": Event("info", "A line of a library's own logger."),
    # simulated plant, demo
    "simulator.listening": Event("info", "A simulated device listens."),
    "simulator.fault": Event("info", "A simulated device misbehaves on command."),
    "broker.listening": Event("info", "The embedded broker listens."),
}
