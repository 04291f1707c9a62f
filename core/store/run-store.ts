import { foldHistory } from '../history/fold.ts';
import type { Pending, RunHead, RunState } from '../history/state.ts';
import type { HistoryBody, HistoryEntry } from '../model/history.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { Payload } from '../model/payload.ts';
import type { Sql, SqlValue } from '../ports.ts';
import { callsOf, stripCallData, withCallData, withoutData } from './call-data.ts';
import type { PayloadStore } from './payloads.ts';

/** A run's row without its input, which may be long. */
export interface RunFactsRow extends Record<string, SqlValue> {
  id: string;
  alias: string | null;
  task: string;
  version: number;
  status: string;
  reason: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  seq: number;
  parent: string | null;
  head: string;
  meta: string | null;
}

export interface RunRow extends RunFactsRow {
  input: SqlValue;
}

interface HistoryRow extends Record<string, SqlValue> {
  seq: number;
  at: number;
  body: string;
  data: SqlValue;
}

export interface PendingRow extends Record<string, SqlValue> {
  owner: string;
  key: string;
  kind: string;
  bucket: string;
  due: number;
  attempt: number;
  lease: string | null;
  held: number | null;
  match: string | null;
  /** What an arriving event must be, beyond what `match` says: a bound expression (engine/binding.ts). */
  guard: string | null;
}

/** The columns of `runs.head` that have no column of their own. */
type HeadJson = Pick<
  RunHead,
  | 'dueAt'
  | 'scheduledAt'
  | 'eventIds'
  | 'labels'
  | 'maxAttempts'
  | 'retry'
  | 'limits'
  | 'expireAt'
  | 'executor'
  | 'pool'
> & {
  parent?: RunHead['parent'];
  from?: RunHead['from'];
  ownPool?: string;
  locked?: true;
  parked?: true;
  awaits?: RunHead['awaits'];
  holder?: RunHead['holder'];
  call?: RunHead['call'];
  priorityMs?: number;
  guards?: RunHead['guards'];
  holds?: string[];
  window?: RunHead['window'];
};

/** What a run does not have is not written. */
function headJsonOf(head: RunHead): HeadJson {
  return {
    dueAt: head.dueAt,
    scheduledAt: head.scheduledAt,
    eventIds: head.eventIds,
    labels: head.labels,
    maxAttempts: head.maxAttempts,
    retry: head.retry,
    limits: head.limits,
    expireAt: head.expireAt,
    executor: head.executor,
    pool: head.pool,
    ...(head.parent ? { parent: head.parent } : {}),
    ...(head.ownPool === undefined ? {} : { ownPool: head.ownPool }),
    ...(head.locked ? { locked: head.locked } : {}),
    ...(head.parked ? { parked: head.parked } : {}),
    ...(head.awaits ? { awaits: head.awaits } : {}),
    ...(head.from ? { from: head.from } : {}),
    ...(head.holder === undefined ? {} : { holder: head.holder }),
    ...(Object.keys(head.call).length > 1 || head.call.key !== '' ? { call: withoutData(head.call) } : {}),
    ...(head.priorityMs === 0 ? {} : { priorityMs: head.priorityMs }),
    ...(head.guards ? { guards: head.guards } : {}),
    ...(head.holds.length > 0 ? { holds: head.holds } : {}),
    ...(head.window ? { window: head.window } : {}),
  };
}

export class RunStore {
  #sql: Sql;
  #payloads: PayloadStore;

  constructor(sql: Sql, payloads: PayloadStore) {
    this.#sql = sql;
    this.#payloads = payloads;
  }

  /** `index`: names, beside its labels, by which the run is found. */
  insertRun(state: RunState, index: readonly string[] = []): void {
    const { head } = state;
    this.#sql.run(
      `INSERT INTO runs (id, alias, task, version, status, reason, created_at, started_at, ended_at, seq, parent, head, meta, input) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
      head.id,
      head.alias,
      head.task,
      head.version,
      state.status,
      null,
      head.createdAt,
      null,
      null,
      0,
      head.parent?.run ?? null,
      JSON.stringify(headJsonOf(head)),
      head.meta,
      this.#payloads.put(`r:${head.id}`, state.input),
    );
    if (head.call.data !== undefined) this.#putCallData(head.id, head.call.key, 0, head.call.data);
    for (const label of head.labels) this.putLabel(label, head.id);
    for (const name of index) this.putLabel(name, head.id);
  }

  putLabel(label: string, run: string): void {
    this.#sql.run(`INSERT OR IGNORE INTO labels (label, run) VALUES (?, ?)`, label, run);
  }

  /** Runs from before their task was indexed. */
  indexAll(task: string, kind: 'task' | 'status'): void {
    if (kind === 'task')
      this.#sql.run(
        `INSERT OR IGNORE INTO labels (label, run) SELECT ?, id FROM runs WHERE task = ?`,
        taskIndex(task),
        task,
      );
    else
      for (const status of ENDED)
        this.#sql.run(
          `INSERT OR IGNORE INTO labels (label, run) SELECT ?, id FROM runs WHERE task = ? AND status = ?`,
          statusIndex(status, task),
          task,
          status,
        );
  }

  /** As indexAll: the lines of runs from before. */
  logAll(task: string, log: string): void {
    this.#sql.run(
      `INSERT OR IGNORE INTO log (name, at, run, seq) SELECT ?, created_at, id, 0 FROM runs WHERE task = ?`,
      log,
      task,
    );
    this.#sql.run(
      `INSERT OR IGNORE INTO log (name, at, run, seq) SELECT ?, h.at, h.run, h.seq FROM runs r JOIN history h ON h.run = r.id WHERE r.task = ?`,
      log,
      task,
    );
  }

  putLogLine(log: string, atMs: number, run: string, seq: number): void {
    this.#sql.run(`INSERT OR REPLACE INTO log (name, at, run, seq) VALUES (?, ?, ?, ?)`, log, atMs, run, seq);
  }

  /** The head is what a run started with, except for its labels: those of the history are merged in, so that lists need not read it. */
  putLabels(head: RunHead, removed: readonly string[]): void {
    this.#sql.run(
      `UPDATE runs SET head = json_set(head, '$.labels', json(?)) WHERE id = ?`,
      JSON.stringify(head.labels),
      head.id,
    );
    for (const label of head.labels) this.putLabel(label, head.id);
    for (const label of removed)
      if (!head.labels.includes(label)) this.#sql.run(`DELETE FROM labels WHERE label = ? AND run = ?`, label, head.id);
  }

  /** The row of a run that was amended says what it is now: for the lists, which do not read its history. */
  putHead(state: RunState, labelsBefore: readonly string[] = []): void {
    const { head } = state;
    const before = this.#sql.all<{ input: SqlValue }>(`SELECT input FROM runs WHERE id = ?`, head.id)[0];
    this.#payloads.drop(`r:${head.id}`, before?.input ?? null);
    this.#sql.run(
      `UPDATE runs SET head = ?, meta = ?, input = ? WHERE id = ?`,
      JSON.stringify(headJsonOf(head)),
      head.meta,
      this.#payloads.put(`r:${head.id}`, state.input),
      head.id,
    );
    for (const label of labelsBefore)
      if (!head.labels.includes(label)) this.#sql.run(`DELETE FROM labels WHERE label = ? AND run = ?`, label, head.id);
    for (const label of head.labels) if (!labelsBefore.includes(label)) this.putLabel(label, head.id);
  }

  endRun(state: RunState): void {
    // A run that was ended while it collected: its row was to be written when it stopped.
    if (state.head.window) this.putHead(state, state.head.labels);
    this.#sql.run(
      `UPDATE runs SET status = ?, reason = ?, started_at = ?, ended_at = ?, seq = ?, version = ? WHERE id = ?`,
      state.status,
      state.reason,
      state.startedAt,
      state.endedAt,
      state.seq,
      state.version,
      state.head.id,
    );
  }

  insertEntry(run: string, entry: HistoryEntry): void {
    const body = stripCallData(entry.body);
    for (const call of callsOf(entry.body))
      if (call.data !== undefined) this.#putCallData(run, call.key, entry.seq, call.data);
    this.#sql.run(
      `INSERT INTO history (run, seq, at, body, data) VALUES (?, ?, ?, ?, ?)`,
      run,
      entry.seq,
      entry.atMs,
      JSON.stringify(body),
      this.#payloads.put(`h:${run}:${entry.seq}`, entry.data),
    );
  }

  load(run: string): RunState | null {
    const row = this.#sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, run)[0];
    if (!row) return null;
    const head = this.headOf(row);
    const state = foldHistory(head, this.inputOf(row), this.history(run));
    state.startedAt ??= row.started_at;
    return state;
  }

  headOf(row: RunFactsRow): RunHead {
    const json = JSON.parse(row.head) as HeadJson;
    const call = json.call ?? { key: '' };
    const data = json.call ? this.#callData(row.id, call.key, 0) : null;
    return {
      ...json,
      id: row.id,
      alias: row.alias,
      task: row.task,
      version: row.version,
      createdAt: row.created_at,
      meta: row.meta,
      parent: json.parent ?? null,
      call: data === null ? call : { ...call, data },
      priorityMs: json.priorityMs ?? 0,
      guards: json.guards ?? null,
      holds: json.holds ?? [],
      window: json.window ?? null,
    };
  }

  /** Position of a run's newest entry; its row knows that of its end. */
  newestSeq(run: string): number {
    return this.#sql.all<{ seq: number | null }>(`SELECT max(seq) AS seq FROM history WHERE run = ?`, run)[0]?.seq ?? 0;
  }

  inputOf(row: { id: string; input: SqlValue }): Payload | null {
    return this.#payloads.get(`r:${row.id}`, row.input);
  }

  history(run: string, afterSeq = 0, limit = -1): HistoryEntry[] {
    return this.#historyRows(run, afterSeq, limit).map((row) => this.#entryOf(run, row));
  }

  #historyRows(run: string, afterSeq: number, limit: number): HistoryRow[] {
    return this.#sql.all<HistoryRow>(
      `SELECT seq, at, body, data FROM history WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?`,
      run,
      afterSeq,
      limit,
    );
  }

  #entryOf(run: string, row: HistoryRow): HistoryEntry {
    return {
      seq: row.seq,
      atMs: row.at,
      body: withCallData(JSON.parse(row.body) as HistoryBody, (key) => this.#callData(run, key, row.seq)),
      data: this.#payloads.get(`h:${run}:${row.seq}`, row.data),
    };
  }

  /** Entries in order until `limit` of them or `maxBytes` of payload are together; at least one, if there is one. */
  historyPage(run: string, afterSeq: number, limit: number, maxBytes: number): HistoryEntry[] {
    const entries: HistoryEntry[] = [];
    let bytes = 0;
    for (let after = afterSeq; entries.length < limit;) {
      const rows = this.#historyRows(run, after, Math.min(HISTORY_CHUNK, limit - entries.length));
      for (const row of rows) {
        const entry = this.#entryOf(run, row);
        bytes +=
          (entry.data?.length ?? 0) + callsOf(entry.body).reduce((sum, call) => sum + (call.data?.length ?? 0), 0);
        if (entries.length > 0 && bytes > maxBytes) return entries;
        entries.push(entry);
        after = entry.seq;
      }
      if (rows.length < HISTORY_CHUNK) break;
    }
    return entries;
  }

  pendingRows(owner: string): PendingRow[] {
    return this.#sql.all<PendingRow>(`SELECT * FROM pending WHERE owner = ?`, owner);
  }

  insertPending(row: PendingRow): void {
    this.#sql.run(
      `INSERT OR REPLACE INTO pending (owner, key, kind, bucket, due, attempt, lease, held, match, guard) VALUES (?,?,?,?,?,?,?,?,?,?)`,
      row.owner,
      row.key,
      row.kind,
      row.bucket,
      row.due,
      row.attempt,
      row.lease,
      row.held,
      row.match,
      row.guard,
    );
  }

  /** Writes only the columns that differ, so that an unchanged index costs no row. */
  updatePending(before: PendingRow, after: PendingRow): void {
    const sets: string[] = [];
    const values: SqlValue[] = [];
    for (const column of ['kind', 'bucket', 'due', 'attempt', 'lease', 'held', 'match', 'guard'] as const) {
      if (before[column] === after[column]) continue;
      sets.push(`${column} = ?`);
      values.push(after[column]);
    }
    if (sets.length > 0)
      this.#sql.run(
        `UPDATE pending SET ${sets.join(', ')} WHERE owner = ? AND key = ?`,
        ...values,
        after.owner,
        after.key,
      );
  }

  deletePending(owner: string, key: string): void {
    this.#sql.run(`DELETE FROM pending WHERE owner = ? AND key = ?`, owner, key);
  }

  /** Everything of a run except rows that other tables keep by their own rules. */
  deleteRun(row: RunRow): void {
    this.#payloads.drop(`r:${row.id}`, row.input);
    const long = this.#sql.all<{ owner: string }>(
      `SELECT DISTINCT owner FROM chunks WHERE owner >= ? AND owner < ?`,
      `h:${row.id}:`,
      `h:${row.id};`,
    );
    for (const { owner } of long) this.#sql.run(`DELETE FROM chunks WHERE owner = ?`, owner);
    this.#sql.run(`DELETE FROM chunks WHERE owner >= ? AND owner < ?`, `c:${row.id}:`, `c:${row.id};`);
    this.#sql.run(`DELETE FROM history WHERE run = ?`, row.id);
    const head = JSON.parse(row.head) as HeadJson;
    for (const label of head.labels) this.#sql.run(`DELETE FROM labels WHERE label = ? AND run = ?`, label, row.id);
    for (const name of indexNames(row)) this.#sql.run(`DELETE FROM labels WHERE label = ? AND run = ?`, name, row.id);
    if (row.alias !== null) this.#sql.run(`DELETE FROM names WHERE key = ? AND run = ?`, `alias:${row.alias}`, row.id);
    this.#sql.run(`DELETE FROM runs WHERE id = ?`, row.id);
  }

  // A call's own data is kept beside its history entry: once, however often the entry is folded.
  #putCallData(run: string, key: string, seq: number, data: Payload): void {
    const value = this.#payloads.put(`c:${run}:${seq}:${key}`, data);
    if (typeof value !== 'number')
      this.#sql.run(`INSERT OR REPLACE INTO chunks (owner, n, data) VALUES (?, 0, ?)`, `c:${run}:${seq}:${key}`, value);
  }

  #callData(run: string, key: string, seq: number): Payload | null {
    const owner = `c:${run}:${seq}:${key}`;
    const count = this.#sql.all<{ n: number }>(`SELECT count(*) AS n FROM chunks WHERE owner = ?`, owner)[0]?.n ?? 0;
    return count === 0 ? null : this.#payloads.get(owner, count);
  }
}

const HISTORY_CHUNK = 50;
const ENDED = ['completed', 'failed', 'cancelled'];

/** Runs of a task, and those of its runs that ended in one way (TaskSpec.index); names that begin so are no user's labels. */
export const taskIndex = (task: string): string => `$task:${task}`;
export const statusIndex = (status: string, task: string): string => `$ended:${status}:${task}`;
/** Runs that go on with nothing pending: they wait for a message from outside, and have no row in `pending` by which unended runs are found. */
export const IDLE_INDEX = '$idle';

function indexNames(row: RunRow): string[] {
  return [taskIndex(row.task), statusIndex(row.status, row.task), IDLE_INDEX];
}

/** The columns of a pending row that follow from the run's state; the lane's bucket and limits' holds are the engine's. */
export function pendingRowOf(
  run: string,
  pending: Pending,
  bucket: string,
  match: string | null,
  held: number | null,
): PendingRow {
  return {
    owner: run,
    key: pending.key,
    kind: pending.kind,
    bucket,
    due: Math.min(pending.dueAt, NEVER_MS),
    attempt: pending.attempt,
    lease: pending.lease,
    held,
    match,
    guard: pending.wait?.kind === 'event' ? (pending.wait.expression ?? null) : null,
  };
}
