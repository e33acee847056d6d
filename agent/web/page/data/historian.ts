// What a historian answers at /api/v1/status, in place of an agent's status.

export interface Part {
  where: string;
  state: string;
  reason: string | null;
}

export interface Historian {
  historian: {
    id: string;
    version: string;
    group: string | null;
    /** It asks for holes; of a group one member does. */
    leads: boolean;
    state: string;
    reason: string | null;
    /** Newest reading stored, and when something was last stored: epoch milliseconds. */
    newest: number | null;
    stored_at: number | null;
    /** Messages that wait to be stored. */
    waiting: number;
  };
  database: Part;
  sources: Record<string, Part>;
  agents_online: number;
  missing: { holes: number; records: number };
}

export function isHistorian(status: unknown): status is Historian {
  return typeof status === "object" && status !== null && "historian" in status;
}
