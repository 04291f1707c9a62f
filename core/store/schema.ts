import type { Sql } from '../ports.ts';

/**
 * One statement list per schema version, applied in order. Rows written are billed and each index entry counts as one, so tables are
 * clustered by the key they are read by and carry a second index only where a probe needs it.
 */
const MIGRATIONS: string[][] = [
  [
    `CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID`,
    `CREATE TABLE tasks (id TEXT, version INTEGER, grp TEXT NOT NULL, current INTEGER NOT NULL, spec TEXT NOT NULL,
       created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (id, version)) WITHOUT ROWID`,
    // A run's immutable head and the projection of its history's end.
    `CREATE TABLE runs (id TEXT PRIMARY KEY, alias TEXT, task TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT,
       created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, seq INTEGER NOT NULL, parent TEXT, head TEXT NOT NULL, meta TEXT, input) WITHOUT ROWID`,
    `CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL`,
    `CREATE TABLE history (run TEXT, seq INTEGER, at INTEGER NOT NULL, body TEXT NOT NULL, data, PRIMARY KEY (run, seq)) WITHOUT ROWID`,
    // Everything that is going to happen: calls, waits, schedules' ticks, housekeeping. bucket '' is ordered by time; another bucket is a lane's backlog.
    `CREATE TABLE pending (owner TEXT, key TEXT, kind TEXT NOT NULL, bucket TEXT NOT NULL, due INTEGER NOT NULL, attempt INTEGER NOT NULL,
       lease TEXT, held INTEGER, match TEXT, PRIMARY KEY (owner, key)) WITHOUT ROWID`,
    `CREATE INDEX pending_due ON pending (bucket, due)`,
    `CREATE INDEX pending_match ON pending (match) WHERE match IS NOT NULL`,
    `CREATE INDEX pending_held ON pending (owner) WHERE held IS NOT NULL`,
    `CREATE TABLE events (id TEXT PRIMARY KEY, dedupe_id TEXT, name TEXT NOT NULL, ts INTEGER NOT NULL, received_at INTEGER NOT NULL,
       runs TEXT, body) WITHOUT ROWID`,
    // Names that must be unique for a time: aliases, idempotency keys, (task, event id).
    `CREATE TABLE names (key TEXT PRIMARY KEY, run TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID`,
    `CREATE TABLE labels (label TEXT, run TEXT, PRIMARY KEY (label, run)) WITHOUT ROWID`,
    `CREATE TABLE wait_paths (name TEXT, path TEXT, PRIMARY KEY (name, path)) WITHOUT ROWID`,
    `CREATE TABLE limits (key TEXT PRIMARY KEY, max INTEGER NOT NULL, hold TEXT NOT NULL, paused INTEGER NOT NULL, pinned INTEGER NOT NULL) WITHOUT ROWID`,
    `CREATE TABLE schedules (id TEXT PRIMARY KEY, spec TEXT NOT NULL, input, created_at INTEGER NOT NULL, last_at INTEGER, next_at INTEGER, last_run TEXT) WITHOUT ROWID`,
    `CREATE TABLE records (collection TEXT, id TEXT, data, updated_at INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (collection, id)) WITHOUT ROWID`,
    `CREATE TABLE dead_letters (id TEXT PRIMARY KEY, run TEXT NOT NULL, at INTEGER NOT NULL, data) WITHOUT ROWID`,
    `CREATE TABLE chunks (owner TEXT, n INTEGER, data NOT NULL, PRIMARY KEY (owner, n)) WITHOUT ROWID`,
    // Messages to other objects, in order per destination, until acknowledged; and the newest number taken from each source.
    `CREATE TABLE outbox (destination TEXT, seq INTEGER, body TEXT NOT NULL, PRIMARY KEY (destination, seq)) WITHOUT ROWID`,
    `CREATE TABLE inbox (source TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID`,
  ],
  // What a schedule starts is a start's specification as a whole; `last_run` holds several ids, joined with commas.
  [
    `UPDATE schedules SET spec = json_patch(
       json_remove(spec, '$.task', '$.meta', '$.limits', '$.maxAttempts', '$.retry', '$.event'),
       json_object('start', json_object('task', json_extract(spec, '$.task'), 'meta', json_extract(spec, '$.meta'),
         'limits', json_extract(spec, '$.limits'), 'maxAttempts', json_extract(spec, '$.maxAttempts'), 'retry', json_extract(spec, '$.retry'))))
     WHERE json_extract(spec, '$.start') IS NULL`,
  ],
  [
    // Lines of the logs over many runs (TaskSpec.log), by time; seq 0 is a run's start, the others are entries of its history.
    `CREATE TABLE log (name TEXT, at INTEGER, run TEXT, seq INTEGER, PRIMARY KEY (name, at, run, seq)) WITHOUT ROWID`,
  ],
  [
    // The bound expression of a wait or guard: an event is held against it without reading the run.
    `ALTER TABLE pending ADD COLUMN guard TEXT`,
    // A run's deadline is one of its guards.
    `UPDATE pending SET owner = 'guard:' || substr(owner, 8), key = 'expire', kind = 'guard' WHERE kind = 'expire'`,
  ],
  // Only what was set from outside is kept of a limit; what its rate has let through; and what is paused.
  [
    `CREATE TABLE limit_rules (key TEXT PRIMARY KEY, max INTEGER, rate TEXT, paused INTEGER NOT NULL) WITHOUT ROWID`,
    `INSERT INTO limit_rules (key, max, rate, paused)
       SELECT key, CASE WHEN pinned = 1 THEN max END, NULL, paused FROM limits WHERE pinned = 1 OR paused = 1`,
    `DROP TABLE limits`,
    `CREATE TABLE rates (counter TEXT PRIMARY KEY, state TEXT NOT NULL, idle_at INTEGER NOT NULL) WITHOUT ROWID`,
    `CREATE TABLE pauses (scope TEXT PRIMARY KEY, starts TEXT NOT NULL) WITHOUT ROWID`,
  ],
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the database to the newest schema (a test: to an older one) in one transaction; refuses one made by a newer version. Returns this start's epoch. */
export function migrate(sql: Sql, upTo = SCHEMA_VERSION): number {
  return sql.transaction(() => {
    const known =
      sql.all<{ n: number }>(`SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'meta'`)[0]?.n ===
      1;
    const read = (key: string): number =>
      known ? Number(sql.all<{ value: number }>(`SELECT value FROM meta WHERE key = ?`, key)[0]?.value ?? 0) : 0;
    const version = read('schema');
    if (version > SCHEMA_VERSION)
      throw new Error(
        `The data was written by a newer version (schema ${version}, this one knows ${SCHEMA_VERSION}). Start the newer version, or another data directory.`,
      );
    for (const statements of MIGRATIONS.slice(version, upTo)) for (const statement of statements) sql.run(statement);
    const epoch = read('epoch') + 1;
    if (version !== upTo) sql.run(`INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', ?)`, upTo);
    sql.run(`INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)`, epoch);
    return epoch;
  });
}
