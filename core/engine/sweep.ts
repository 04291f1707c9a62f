import { compileExpression, type Expression, isTrue, type JsonValue } from '../events/expression/index.ts';
import type { ResultOf } from '../model/command.ts';
import { EngineError, errorCodeOf } from '../model/errors.ts';
import { NEVER_MS } from '../model/limits.ts';
import { MAX_SWEEP_RUNS, type SweepRecord, type SweepSpec } from '../model/sweep.ts';
import type { SqlValue } from '../ports.ts';
import type { RunRow } from '../store/run-store.ts';
import { eventTextOf } from './binding.ts';
import { cancel } from './cancel.ts';
import type { Kernel } from './kernel.ts';
import { rerun } from './rerun.ts';
import { runRecord } from './run-lists.ts';
import { start } from './start.ts';
import { dropTimer, putTimer } from './timers.ts';

/** Owner of a sweep's timer: this and the sweep's id. */
export const SWEEP_OWNER = '$sweep:';
/** Collection of the sweeps' records. */
export const SWEEPS = '$sweep';
/** Runs changed in one transaction, and runs looked at for them. */
const BATCH = 200;
const WINDOW = 2_000;

type Stored = SweepRecord & {
  /** The last run that was looked at or, of listed runs, how many. */
  cursor?: string | number;
};

export function startSweep(k: Kernel, sweep: SweepSpec): Omit<ResultOf<'sweep'>, 'type'> {
  if (k.records.get(SWEEPS, sweep.id)) return { id: sweep.id, known: true };
  const { filter } = sweep;
  if ((filter.runs?.length ?? 0) > MAX_SWEEP_RUNS)
    throw new EngineError('too-many', `more than ${MAX_SWEEP_RUNS} runs in one sweep`);
  expressionOf(filter.expression);
  const record: Stored = {
    ...sweep,
    // What is started while it goes on is not part of it.
    filter: { ...filter, toMs: Math.min(filter.toMs ?? k.now, k.now) },
    status: 'running',
    createdAt: k.now,
    endedAt: null,
    matched: 0,
    changed: 0,
    refused: 0,
  };
  save(k, record);
  putTimer(k, SWEEP_OWNER + sweep.id, '', 'sweep', k.now);
  return { id: sweep.id, known: false };
}

export function stopSweep(k: Kernel, id: string, forget: boolean): ResultOf<'stop-sweep'>['result'] {
  const record = load(k, id);
  if (!record) return 'unknown';
  const running = record.status === 'running';
  if (running) dropTimer(k, SWEEP_OWNER + id, '');
  if (forget) k.records.delete(SWEEPS, id);
  else if (running) save(k, { ...record, status: 'stopped', endedAt: k.now });
  return running ? 'stopped' : 'done';
}

/** The next batch. Called by its timer, which is set again while there is more. */
export function sweepOn(k: Kernel, id: string): void {
  const record = load(k, id);
  if (record?.status !== 'running') return dropTimer(k, SWEEP_OWNER + id, '');
  const { runs, cursor, done } = nextBatch(k, record);
  let changed = 0;
  for (const run of runs) if (act(k, record, run)) changed++;
  const next: Stored = {
    ...record,
    cursor,
    matched: record.matched + runs.length,
    changed: record.changed + changed,
    refused: record.refused + runs.length - changed,
  };
  save(k, done ? { ...next, status: 'done', endedAt: k.now } : next);
  if (done) dropTimer(k, SWEEP_OWNER + id, '');
  else putTimer(k, SWEEP_OWNER + id, '', 'sweep', k.now);
}

export function sweepOf(k: Kernel, id: string): SweepRecord | null {
  const record = load(k, id);
  return record && shown(record);
}

export function shown({ cursor: _, ...record }: Stored): SweepRecord {
  return record;
}

function act(k: Kernel, sweep: SweepRecord, run: string): boolean {
  const { action, label } = sweep;
  if (action.do === 'cancel') {
    const result = cancel(k, run, action.reason, action.graceMs, true);
    const changed = result === 'cancelled' || result === 'cancelling';
    const handle = changed && label !== undefined ? k.find(run) : null;
    if (handle && label !== undefined && !handle.state.head.labels.includes(label))
      k.append(handle, { kind: 'label', labels: [label] });
    return changed;
  }
  const row = k.sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, run)[0];
  const executor = row && k.runs.headOf(row).executor;
  const again = executor === undefined ? undefined : k.translators[executor]?.again;
  if (row && again) {
    const spec = again({ run: runRecord(k, row), task: k.tasks.get(row.task), sweep, nowMs: k.now });
    if (!spec || !k.tasks.get(spec.task)) return false;
    start(k, spec);
    return true;
  }
  try {
    rerun(k, { type: 'rerun', run, from: 'start', ...(action.overrides ? { overrides: action.overrides } : {}) });
    return true;
  } catch (error) {
    // Both are refused before anything is written; another error is a fault, and undoes the batch.
    if (errorCodeOf(error) === 'unknown-task' || errorCodeOf(error) === 'unknown-run') return false;
    throw error;
  }
}

/** Newest first, so that what a sweep starts is never met by it. */
function nextBatch(k: Kernel, record: Stored): { runs: string[]; cursor: string | number; done: boolean } {
  const { filter } = record;
  const expression = expressionOf(filter.expression);
  if (filter.runs) {
    const from = Number(record.cursor ?? 0);
    const runs = filter.runs.slice(from, from + BATCH);
    return { runs, cursor: from + runs.length, done: from + runs.length >= filter.runs.length };
  }
  const before = String(record.cursor ?? '\uffff');
  const window = k.sql.all<{ last: string | null; n: number }>(
    `SELECT min(id) AS last, count(*) AS n FROM (SELECT id FROM runs WHERE id < ? ORDER BY id DESC LIMIT ${WINDOW})`,
    before,
  )[0];
  if (!window?.last) return { runs: [], cursor: before, done: true };
  const where = conditionsOf(record);
  const rows = k.sql.all<RunRow>(
    `SELECT * FROM runs WHERE id < ? AND id >= ? ${where.map(([text]) => ` AND ${text}`).join('')} ORDER BY id DESC LIMIT ${BATCH + 1}`,
    before,
    window.last,
    ...where.map(([, value]) => value),
  );
  const taken = rows.slice(0, BATCH);
  const runs = taken.filter((row) => expression === null || holdsFor(k, row, expression)).map((row) => row.id);
  if (rows.length > BATCH) return { runs, cursor: taken.at(-1)?.id as string, done: false };
  return { runs, cursor: window.last, done: window.n < WINDOW };
}

function conditionsOf({ filter, action }: SweepRecord): Array<[string, SqlValue]> {
  const where: Array<[string, SqlValue]> = [];
  const status = filter.status ?? (action.do === 'cancel' ? 'running' : undefined);
  if (filter.task !== undefined) where.push(['task = ?', filter.task]);
  if (filter.taskPrefix !== undefined) where.push(['instr(task, ?) = 1', filter.taskPrefix]);
  if (status !== undefined) where.push(['status = ?', status]);
  if (filter.label !== undefined)
    where.push(['EXISTS (SELECT 1 FROM labels WHERE label = ? AND run = runs.id)', filter.label]);
  if (filter.fromMs !== undefined) where.push(['created_at >= ?', filter.fromMs]);
  if (filter.toMs !== undefined) where.push(['created_at <= ?', filter.toMs]);
  return where;
}

function holdsFor(k: Kernel, row: RunRow, expression: Expression): boolean {
  const first = k.runs.headOf(row).eventIds[0];
  const event = first === undefined ? null : k.events.get(first);
  const body = eventTextOf(event ? [event] : null, k.runs.inputOf(row));
  return isTrue(expression, { ...(body === null ? {} : { event: JSON.parse(body) as JsonValue }), nowMs: k.now });
}

function expressionOf(source: string | undefined): Expression | null {
  if (source === undefined) return null;
  const compiled = compileExpression(source);
  if (!compiled.ok)
    throw new EngineError('bad-expression', `the expression "${source}" cannot be read: ${compiled.error.message}`);
  return compiled.expression;
}

function load(k: Kernel, id: string): Stored | null {
  const record = k.records.get(SWEEPS, id);
  return record && (JSON.parse(record.data) as Stored);
}

function save(k: Kernel, record: Stored): void {
  const expiresAt = record.endedAt === null ? NEVER_MS : record.endedAt + k.retentionMs;
  k.records.put(SWEEPS, record.id, JSON.stringify(record), expiresAt);
}
