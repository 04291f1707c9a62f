import type { Command } from '../../core/model/command.ts';
import type { ScheduleRecord } from '../../core/model/task.ts';
import type { CellApi, Translator } from '../../core/ports.ts';
import { occurrencesBetween, parseCron, type Cron } from '../../core/schedule/cron.ts';
import { ApiError } from './errors.ts';
import { derivedId } from './ids.ts';
import { projectOf, schedulePrefixOf, slugOf, taskIdOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import { readTaskData } from './run-meta.ts';
import type { WorkerTask } from './schema.ts';
import { startSpecOf } from './start-run.ts';

/** What is kept with the engine's schedule (`ScheduleSpec.data`). */
export interface ScheduleData {
  id: string;
  type: 'IMPERATIVE' | 'DECLARATIVE';
  /** As given. */
  cron: string;
  timezone: string;
  window?: string;
  deduplicationKey?: string;
  externalId?: string;
}

/** Times to come that a run of a schedule is told (@trigger.dev/core: ScheduledTaskPayload). */
const UPCOMING = 5;

export function readScheduleData(record: Pick<ScheduleRecord, 'data'>): ScheduleData | null {
  const value = record.data === undefined ? null : parseJson(record.data);
  return isRecord(value) && typeof value.id === 'string' ? (value as unknown as ScheduleData) : null;
}

/** @throws ApiError 422 for a cron or a time zone that cannot be read */
export function checkedCron(text: string, timezone: string): Cron {
  const parsed = parseCron(text, { timezone });
  if (!parsed.ok) throw new ApiError('invalid', `Invalid CRON expression "${text}": ${parsed.error}`);
  return parsed.cron;
}

/** Makes the schedule, or changes the one of that id. */
export function putScheduleCommand(project: string, slug: string, data: ScheduleData, paused: boolean): Command {
  const cron = checkedCron(data.cron, data.timezone);
  return {
    type: 'put-schedule',
    schedule: {
      id: schedulePrefixOf(project) + data.id,
      cron: cron.fields,
      timezone: cron.timezone,
      start: { task: taskIdOf(project, slug), input: null },
      ...(paused ? { paused } : {}),
      ...(data.window === undefined ? {} : { delayMs: windowOffsetMs(data.id, data.window, cron) }),
      data: JSON.stringify(data),
    },
  };
}

/** Within its window a schedule always starts at the same distance from its nominal time. */
function windowOffsetMs(id: string, window: string, cron: Cron): number {
  const [first, second] = occurrencesBetween(cron, 0, Number.MAX_SAFE_INTEGER, 2);
  const intervalMs = first === undefined || second === undefined ? 86_400_000 : second - first;
  const amount = Number.parseInt(window, 10);
  const wanted = window.endsWith('%')
    ? (intervalMs * Math.min(100, amount)) / 100
    : Math.min(86_400_000, amount * (window.endsWith('h') ? 3_600_000 : 60_000));
  const windowMs = Math.min(wanted, intervalMs);
  return Math.floor((hashOf(id) / 0x1_0000_0000) * windowMs);
}

/** The schedules that a build declares, and the end of those that it does not declare any more. */
export async function declarativeCommands(
  cell: CellApi,
  project: string,
  tasks: ReadonlyArray<Pick<WorkerTask, 'id' | 'schedule'>>,
  environmentType: string,
): Promise<Command[]> {
  const known = await cell.query({ type: 'schedules', prefix: schedulePrefixOf(project) });
  const commands: Command[] = [];
  const declared = new Set<string>();
  for (const task of tasks) {
    const { schedule } = task;
    if (!schedule || (schedule.environments && !schedule.environments.includes(environmentType))) continue;
    const id = await derivedId('sched', `declarative ${project} ${task.id}`);
    const data: ScheduleData = {
      id,
      type: 'DECLARATIVE',
      cron: schedule.cron,
      timezone: schedule.timezone ?? 'UTC',
      ...(schedule.window === undefined ? {} : { window: schedule.window }),
    };
    declared.add(schedulePrefixOf(project) + id);
    const before = known.find((record) => record.id === schedulePrefixOf(project) + id);
    // Unchanged, it keeps its next time.
    if (before?.data !== JSON.stringify(data))
      commands.push(putScheduleCommand(project, task.id, data, before?.paused ?? false));
  }
  for (const record of known)
    if (readScheduleData(record)?.type === 'DECLARATIVE' && !declared.has(record.id))
      commands.push({ type: 'delete-schedule', id: record.id });
  return commands;
}

/** @trigger.dev/core: v3/schemas/api.ts ScheduleObject */
export function scheduleResponse(
  record: ScheduleRecord,
  environment: { id: string; type: string },
): Record<string, unknown> {
  const data = readScheduleData(record);
  const active = record.paused !== true;
  const next = active ? record.nextAt : null;
  return {
    id: data?.id ?? record.id,
    type: data?.type ?? 'IMPERATIVE',
    task: slugOf(record.start.task),
    active,
    ...(data?.deduplicationKey === undefined ? {} : { deduplicationKey: data.deduplicationKey }),
    ...(data?.externalId === undefined ? {} : { externalId: data.externalId }),
    generator: generatorOf(data?.cron ?? record.cron ?? ''),
    timezone: data?.timezone ?? record.timezone ?? 'UTC',
    ...(data?.window === undefined ? {} : { window: data.window }),
    nextRun: next === null ? null : new Date(next).toISOString(),
    nextRunEffectiveAt: next === null ? null : new Date(next + (record.delayMs ?? 0)).toISOString(),
    environments: [environment],
  };
}

export function generatorOf(cron: string): { type: 'CRON'; expression: string; description: string } {
  return { type: 'CRON', expression: cron, description: `At the times of "${cron}"` };
}

/** A tick of a schedule: a run whose payload says when it is, when the last was and when the next are. In development only while a worker is there. */
export const scheduled: NonNullable<Translator['scheduled']> = (tick) => {
  const { schedule, task, scheduledAt, nowMs } = tick;
  const data = readScheduleData(schedule);
  const isDevelopment = (readTaskData(task.data).environmentType ?? 'DEVELOPMENT') === 'DEVELOPMENT';
  if (!data || (isDevelopment && !tick.workerPresent)) return [];
  const dates: Record<string, number> = {
    timestamp: scheduledAt,
    ...(schedule.lastAt === null ? {} : { lastTimestamp: schedule.lastAt }),
  };
  const iso = (ms: number): string => new Date(ms).toISOString();
  const upcoming = tick.upcoming.slice(0, UPCOMING);
  const payload = {
    json: {
      scheduleId: data.id,
      type: data.type,
      ...Object.fromEntries(Object.entries(dates).map(([name, ms]) => [name, iso(ms)])),
      ...(data.externalId === undefined ? {} : { externalId: data.externalId }),
      timezone: data.timezone,
      upcoming: upcoming.map(iso),
    },
    meta: {
      values: Object.fromEntries(
        [...Object.keys(dates), ...upcoming.map((_, i) => `upcoming.${i}`)].map((path) => [path, ['Date']]),
      ),
    },
  };
  const trace = [0, 1, 2, 3, 4, 5]
    .map((i) => hashOf(`${data.id} ${scheduledAt} ${i}`).toString(16).padStart(8, '0'))
    .join('');
  return [
    startSpecOf({
      project: projectOf(task.id),
      task,
      payload: JSON.stringify(payload),
      options: { payloadType: 'application/super+json' },
      parent: null,
      requestKey: `schedule/${data.id}/${scheduledAt}`,
      traceContext: { traceparent: `00-${trace.slice(0, 32)}-${trace.slice(32, 48)}-01` },
      nowMs,
      clockOffsetMs: 0,
      isDevelopment,
      schedule: {
        id: data.id,
        cron: data.cron,
        ...(data.externalId === undefined ? {} : { externalId: data.externalId }),
        ...(data.deduplicationKey === undefined ? {} : { deduplicationKey: data.deduplicationKey }),
      },
    }),
  ];
};

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
}
