// What the API answers. Made from its OpenAPI document by deploy/page_types.py: do not edit.

export interface About {
  id: string;
  version: string;
  config: ConfigState;
  shard: string;
  started: number;
}

export interface BadTags {
  reason: string | null;
  code: string | null;
  tags: number;
  examples: string[];
}

export interface ConfigState {
  effective: string;
  attempted: string;
  error: string | null;
}

export interface Cost {
  kind: "bad_tags" | "devices" | "late" | "lost" | "memory_only" | "no_room" | "no_value" | "not_in_force" | "orphaned" | "quarantined" | "refused" | "room" | "unsynced" | "waiting";
  count?: number | null;
  of?: number;
  readings?: number | null;
  since?: number | null;
  ms?: number;
  expected_ms?: number;
  seconds?: number;
}

export interface Device {
  state: "degraded" | "offline" | "online";
  since: number;
  reason: string | null;
  causes: ("complaint" | "disabled" | "late" | "misconfigured" | "neighbour" | "silent" | "tags")[];
  last_good: number | null;
  heard: number | null;
  unanswered: number | null;
  interval_ms: number | null;
  achieved_ms: number | null;
  stale_after_ms: number | null;
  next_attempt: number | null;
  location: string[];
  description: string | null;
  protocol: string | null;
  bus: string | null;
  telling: string[];
  units: Record<string, string>;
  words: Record<string, [unknown, string]>;
  tags: number;
  tags_bad: number;
  bad: BadTags[];
  cat: number;
  notes: Record<string, unknown>;
  learned: string | null;
  do: string | null;
}

export interface Disk {
  free_bytes: number | null;
  floor_bytes: number;
  floor_seconds: number | null;
  no_inodes: boolean;
}

export interface Error {
  error: string;
}

export interface Events {
  events: LogEvent[];
}

export interface Finding {
  event: string;
  what: "agent" | "bus" | "device" | "publisher";
  name: string | null;
  since: number | null;
  why: string | null;
  causes: string[];
  costs: Cost[];
  do: string | null;
  counts: boolean;
  behind: string | null;
}

export type History = Record<string, Record<string, ([number, number | null, number | null, number | null, unknown, number])[]>>;

export interface LogEvent {
  ts: number;
  event: string;
  level: "debug" | "error" | "info" | "warning";
  component: string | null;
  device: string | null;
  fields: Record<string, unknown>;
  meaning: string;
  remedy?: string;
}

export interface LoggedIn {
  expires_in_s: number;
}

export interface Lost {
  records: number;
  readings: number;
  from: number | null;
  to: number | null;
  at: number | null;
}

export interface Orphan {
  publisher: string;
  file: string;
  records: number | null;
  readings: number | null;
  bytes: number;
  from: number | null;
  to: number | null;
}

export interface Probe {
  status: "failed" | "ok";
  reason: string | null;
}

export interface Publisher {
  state: string;
  since: number;
  reason: string | null;
  next_attempt: number | null;
  protocol: string | null;
  mqtt: string | null;
  conflict: string | null;
  records: number;
  records_per_s: number | null;
  backlog: number;
  bytes: number;
  limit_bytes: number;
  room_bytes: number;
  room_seconds: number | null;
  oldest: number | null;
  full: boolean;
  committing: boolean;
  lost: Lost;
  quarantined: number;
  quarantined_at: number | null;
  refused: Record<string, string>;
  outbox: Record<string, unknown>;
  streams: Record<string, Record<string, unknown>[]>;
}

export interface Reload {
  ts: number;
  asked_by: string;
  result: "applied" | "nothing" | "refused";
  hash: string;
  mistakes: string[];
  differences: Record<string, unknown> | null;
}

export interface Reloads {
  hash: string;
  reloads: Reload[];
}

export interface Status {
  agent: About;
  ts: number;
  started: number;
  devices: Record<string, Device>;
  publishers: Record<string, Publisher>;
  disk: Disk;
  clock: Timekeeping;
  history: boolean;
  orphans: Orphan[];
  wrong: Finding[];
  well_since: number | null;
}

export interface Tag {
  value: unknown;
  quality: "bad" | "good" | "uncertain";
  ts: number;
  src: number | null;
  unit: string | null;
  label: string | null;
  type?: string;
  description?: string;
  interval?: number | string;
  address?: string;
  code?: string;
  reason?: string;
  why?: "disabled" | "heartbeat" | "initial" | "offline" | "recovered";
}

export interface Tags {
  device: string;
  ts: number;
  cat: number;
  tags: Record<string, Tag>;
}

export interface Timekeeping {
  synced: boolean;
}

export interface Values {
  device: string;
  ts: number;
  tags: Record<string, [unknown, "bad" | "good" | "uncertain", number]>;
}
