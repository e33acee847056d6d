"""Floor 3: the whole configuration: YAML and CSV in, frozen models out; every mistake with its file and line."""
