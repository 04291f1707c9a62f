import type { EventRecord } from '../model/event.ts';
import type { Sql, SqlValue } from '../ports.ts';
import type { PayloadStore } from './payloads.ts';

export interface EventRow extends Record<string, SqlValue> {
  id: string;
  dedupe_id: string | null;
  name: string;
  ts: number;
  received_at: number;
  runs: string | null;
  body: SqlValue;
}

export class EventStore {
  #sql: Sql;
  #payloads: PayloadStore;

  constructor(sql: Sql, payloads: PayloadStore) {
    this.#sql = sql;
    this.#payloads = payloads;
  }

  has(id: string): boolean {
    return this.#sql.all(`SELECT 1 AS x FROM events WHERE id = ?`, id).length > 0;
  }

  insert(event: EventRecord): void {
    this.#sql.run(
      `INSERT INTO events (id, dedupe_id, name, ts, received_at, runs, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      event.id,
      event.dedupeId,
      event.name,
      event.ts,
      event.receivedAt,
      event.runs.length > 0 ? event.runs.join(',') : null,
      this.#payloads.put(`e:${event.id}`, event.body),
    );
  }

  /** A stored event starts one more run: it is kept as long as that is. */
  addRun(id: string, run: string): void {
    this.#sql.run(`UPDATE events SET runs = coalesce(runs || ',', '') || ? WHERE id = ?`, run, id);
  }

  /** A run does not take this event after all. */
  removeRun(id: string, run: string): void {
    const row = this.#sql.all<{ runs: string | null }>(`SELECT runs FROM events WHERE id = ?`, id)[0];
    if (!row?.runs) return;
    const left = row.runs.split(',').filter((other) => other !== run);
    this.#sql.run(`UPDATE events SET runs = ? WHERE id = ?`, left.length > 0 ? left.join(',') : null, id);
  }

  get(id: string): EventRecord | null {
    const row = this.#sql.all<EventRow>(`SELECT * FROM events WHERE id = ?`, id)[0];
    return row ? this.recordOf(row) : null;
  }

  recordOf(row: EventRow): EventRecord {
    return {
      id: row.id,
      dedupeId: row.dedupe_id,
      name: row.name,
      ts: row.ts,
      receivedAt: row.received_at,
      body: this.#payloads.get(`e:${row.id}`, row.body) as string,
      runs: row.runs ? row.runs.split(',') : [],
    };
  }

  delete(row: EventRow): void {
    this.#payloads.drop(`e:${row.id}`, row.body);
    this.#sql.run(`DELETE FROM events WHERE id = ?`, row.id);
  }
}
