// How a device did lately, as this page saw it: one sample a status, the last hundred.

import type { Device } from "../api/types.ts";

export interface Step {
  ts: number;
  /** Share of its tags that are good, 0 to 1; null: not read, by configuration. */
  good: number | null;
  state: Device["state"];
}

const MOST = 90;

export class Trail {
  readonly steps: Step[] = [];

  add(ts: number, device: Device): void {
    const last = this.steps.at(-1);
    if (last && ts <= last.ts) return;
    const off = device.causes.includes("disabled");
    const share = device.tags ? (device.tags - device.tags_bad) / device.tags : 1;
    this.steps.push({ ts, good: off ? null : device.state === "offline" ? 0 : share, state: device.state });
    if (this.steps.length > MOST) this.steps.shift();
  }
}
