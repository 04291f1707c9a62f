import type { Command, ResultOf } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { ScheduleRecord, ScheduleSpec } from '../model/task.ts';
import type { SqlRow, SqlValue } from '../ports.ts';
import { nextOccurrence, occurrencesBetween, parseCron } from '../schedule/cron.ts';
import type { Kernel } from './kernel.ts';
import { start } from './start.ts';
import { dropTimer, putTimer } from './timers.ts';

export const SCHEDULE_OWNER = 'schedule:';
/** Times to come that a tick is told. */
const UPCOMING = 10;

interface ScheduleRow extends SqlRow {
  id: string;
  spec: string;
  input: SqlValue;
  created_at: number;
  last_at: number | null;
  next_at: number | null;
  last_run: string | null;
}

export function putSchedule(k: Kernel, schedule: ScheduleSpec): ResultOf<'put-schedule'> {
  const nextAt = schedule.paused ? null : nextTime(schedule, k.now);
  const { task } = schedule.start;
  if (!k.tasks.get(task)) throw new EngineError('unknown-task', `no task "${task}" is registered`);
  const before = rowOf(k, schedule.id);
  const { input, ...start } = schedule.start;
  k.payloads.drop(`s:${schedule.id}`, before?.input ?? null);
  k.sql.run(
    `INSERT OR REPLACE INTO schedules (id, spec, input, created_at, last_at, next_at, last_run) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    schedule.id,
    JSON.stringify({ ...schedule, start }),
    k.payloads.put(`s:${schedule.id}`, input),
    before?.created_at ?? k.now,
    before?.last_at ?? null,
    nextAt,
    before?.last_run ?? null,
  );
  arm(k, schedule.id, nextAt);
  return { type: 'put-schedule', id: schedule.id, nextAt };
}

export function pauseSchedule(
  k: Kernel,
  command: Extract<Command, { type: 'pause-schedule' }>,
): ResultOf<'pause-schedule'> {
  const record = scheduleOf(k, command.id);
  if (!record) return { type: 'pause-schedule', found: false };
  const { createdAt: _c, lastAt: _l, nextAt: _n, lastRuns: _r, ...spec } = record;
  putSchedule(k, { ...spec, paused: command.paused });
  return { type: 'pause-schedule', found: true };
}

export function deleteSchedule(k: Kernel, id: string): boolean {
  const row = rowOf(k, id);
  if (!row) return false;
  k.payloads.drop(`s:${id}`, row.input);
  k.sql.run(`DELETE FROM schedules WHERE id = ?`, id);
  arm(k, id, null);
  return true;
}

/** Starts what is due and arms the next time. Times missed while the server was down fire once, at the latest of them. */
export function fireSchedule(k: Kernel, id: string): void {
  const schedule = scheduleOf(k, id);
  if (!schedule || schedule.paused || schedule.nextAt === null) return arm(k, id, null);
  const scheduledAt = lastMissed(schedule, schedule.nextAt, k.now);
  const overlaps =
    schedule.overlap === 'skip' && schedule.lastRuns.some((run) => k.find(run)?.state.status === 'running');
  const runs = overlaps ? [] : begin(k, schedule, scheduledAt);
  const nextAt = schedule.cron === undefined ? null : nextTime(schedule, Math.max(k.now, scheduledAt));
  k.sql.run(
    `UPDATE schedules SET last_at = ?, next_at = ?, last_run = ? WHERE id = ?`,
    scheduledAt,
    nextAt,
    runs.length > 0 ? runs.join(',') : schedule.lastRuns.join(','),
    id,
  );
  arm(k, id, nextAt);
}

function begin(k: Kernel, schedule: ScheduleRecord, scheduledAt: number): string[] {
  const dueAt = k.now + (schedule.delayMs ?? 0) + jitter(schedule, scheduledAt);
  const task = k.tasks.get(schedule.start.task);
  if (!task) return [];
  const scheduled = k.translators[task.executor]?.scheduled;
  const starts = scheduled
    ? scheduled(
        {
          nowMs: k.now,
          schedule,
          task,
          scheduledAt,
          upcoming: upcoming(schedule, scheduledAt),
          workerPresent: task.mode === 'push' || k.present(task.pool ?? ''),
        },
        k.records.reader,
      )
    : [schedule.start];
  return starts.flatMap((spec, i) => {
    if (!k.tasks.get(spec.task)) return [];
    // The same tick never starts twice, whatever happens in between.
    const key = `schedule:${schedule.id}:${scheduledAt}${i === 0 ? '' : `:${i}`}`;
    const dedupe = spec.dedupe ?? { key, untilMs: k.now + 86_400_000 };
    const { run } = start(k, { ...spec, dueAt, scheduledAt, dedupe });
    return run === '' ? [] : [run];
  });
}

/** The next times after this one; none of a one-off. */
export function upcoming(schedule: ScheduleSpec, afterMs: number, count = UPCOMING): number[] {
  if (schedule.cron === undefined) return [];
  return occurrencesBetween(cronOf(schedule), afterMs, Number.MAX_SAFE_INTEGER, count);
}

export function scheduleOf(k: Kernel, id: string): ScheduleRecord | null {
  const row = rowOf(k, id);
  return row ? recordOf(k, row) : null;
}

export function schedules(k: Kernel, prefix: string): ScheduleRecord[] {
  return k.sql
    .all<ScheduleRow>(`SELECT * FROM schedules WHERE id >= ? AND id < ? ORDER BY id`, prefix, `${prefix}\uffff`)
    .map((row) => recordOf(k, row));
}

function rowOf(k: Kernel, id: string): ScheduleRow | undefined {
  return k.sql.all<ScheduleRow>(`SELECT * FROM schedules WHERE id = ?`, id)[0];
}

function recordOf(k: Kernel, row: ScheduleRow): ScheduleRecord {
  const spec = JSON.parse(row.spec) as ScheduleSpec;
  return {
    ...spec,
    start: { ...spec.start, input: k.payloads.get(`s:${row.id}`, row.input) },
    createdAt: row.created_at,
    lastAt: row.last_at,
    nextAt: row.next_at,
    lastRuns: row.last_run ? row.last_run.split(',') : [],
  };
}

function arm(k: Kernel, id: string, atMs: number | null): void {
  if (atMs === null) dropTimer(k, SCHEDULE_OWNER + id, '');
  else putTimer(k, SCHEDULE_OWNER + id, '', 'schedule', atMs);
}

function cronOf(schedule: ScheduleSpec): Extract<ReturnType<typeof parseCron>, { ok: true }>['cron'] {
  const parsed = parseCron(schedule.cron ?? '', schedule.timezone === undefined ? {} : { timezone: schedule.timezone });
  if (!parsed.ok) throw new EngineError('bad-cron', parsed.error);
  return parsed.cron;
}

function nextTime(schedule: ScheduleSpec, afterMs: number): number | null {
  return schedule.cron === undefined ? (schedule.atMs ?? null) : nextOccurrence(cronOf(schedule), afterMs);
}

function lastMissed(schedule: ScheduleSpec, nextAt: number, nowMs: number): number {
  if (schedule.cron === undefined) return nextAt;
  let last = nextAt;
  const cron = cronOf(schedule);
  // Bounded: after a long downtime a day's worth of minutes is enough to find a recent tick.
  for (let i = 0; i < 1440; i++) {
    const next = nextOccurrence(cron, last);
    if (next === null || next > nowMs) break;
    last = next;
  }
  return last;
}

/** Deterministic per schedule and tick. */
function jitter(schedule: ScheduleSpec, scheduledAt: number): number {
  if (!schedule.jitterMs) return 0;
  let hash = 0x811c9dc5;
  for (const char of `${schedule.id}:${scheduledAt}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return (hash >>> 0) % schedule.jitterMs;
}
