import type { ScheduleRecord, TaskRecord } from '../../../core/model/task.ts';
import { isTimezone } from '../../../core/schedule/cron.ts';
import { NO_WINDOW, scheduleWindow } from '../durations.ts';
import { subjectOf } from '../environment-keys.ts';
import { ApiError } from '../errors.ts';
import { derivedId } from '../ids.ts';
import { schedulePrefixOf, slugOf, taskIdOf } from '../names.ts';
import { open, param, readBody, requireProject, type Call, type RouteContext } from '../request.ts';
import { readTaskData } from '../run-meta.ts';
import {
  checkedCron,
  putScheduleCommand,
  readScheduleData,
  scheduleResponse,
  type ScheduleData,
} from '../schedules.ts';
import { CreateScheduleBodySchema, MAX_SMALL_BODY_BYTES, UpdateScheduleBodySchema } from '../schema.ts';

const DEFAULT_PER_PAGE = 20;
const MAX_PER_PAGE = 100;

/** POST /api/v1/schedules — makes one, or changes the one with that deduplication key. */
export async function createSchedule(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret']);
  const body = await readBody(c, CreateScheduleBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const task = await scheduledTask(call, project, body.task);
  const { deduplicationKey } = body;
  const id = await derivedId('sched', `key ${project} ${deduplicationKey}`);
  return c.json(await put(call, project, task, { ...dataOf(id, body), deduplicationKey }, false));
}

/** GET /api/v1/schedules?page&perPage — by id, declared ones among them. */
export async function listSchedules(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret']);
  const project = await requireProject(c, call);
  const all = (await call.cell.query({ type: 'schedules', prefix: schedulePrefixOf(project) })).sort(
    (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1),
  );
  const number = (name: string, otherwise: number, max: number): number => {
    const value = Number(c.req.query(name) ?? otherwise);
    return Number.isInteger(value) && value > 0 ? Math.min(value, max) : otherwise;
  };
  const perPage = number('perPage', DEFAULT_PER_PAGE, MAX_PER_PAGE);
  const page = number('page', 1, 1_000_000);
  const shown = all.slice((page - 1) * perPage, page * perPage);
  return c.json({
    data: await Promise.all(shown.map(async (record) => scheduleResponse(record, await environmentOf(call, record)))),
    pagination: { currentPage: page, totalPages: Math.max(1, Math.ceil(all.length / perPage)), count: all.length },
  });
}

/** GET /api/v1/schedules/:id */
export async function retrieveSchedule(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret']);
  const { record } = await known(c, call);
  return c.json(scheduleResponse(record, await environmentOf(call, record)));
}

/** PUT /api/v1/schedules/:id — of those made over the API; a declared one is changed in the code. */
export async function updateSchedule(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret']);
  const body = await readBody(c, UpdateScheduleBodySchema, MAX_SMALL_BODY_BYTES);
  const { record, data, project } = await known(c, call);
  refuseDeclared(data, 'updated');
  const task = await scheduledTask(call, project, body.task);
  const changed: ScheduleData = {
    ...dataOf(data.id, body),
    ...(data.deduplicationKey === undefined ? {} : { deduplicationKey: data.deduplicationKey }),
  };
  return c.json(await put(call, project, task, changed, record.paused ?? false));
}

/** DELETE /api/v1/schedules/:id */
export async function deleteSchedule(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret']);
  const { record, data } = await known(c, call);
  refuseDeclared(data, 'deleted');
  await call.cell.apply([{ type: 'delete-schedule', id: record.id }]);
  return c.json({ id: data.id });
}

/** POST /api/v1/schedules/:id/activate and /deactivate */
export function activateSchedule(active: boolean): (c: RouteContext) => Promise<Response> {
  return async (c) => {
    const call = await open(c, ['secret']);
    const { record } = await known(c, call);
    await call.cell.apply([{ type: 'pause-schedule', id: record.id, paused: !active }]);
    return retrieveSchedule(c);
  };
}

/** GET /api/v1/timezones?excludeUtc — needs no key. */
export function timezones(c: RouteContext): Response {
  const names = Intl.supportedValuesOf('timeZone').filter((name) => name !== 'UTC');
  return c.json({ timezones: c.req.query('excludeUtc') === 'true' ? names : ['UTC', ...names] });
}

async function put(
  { access, cell }: Call,
  project: string,
  task: TaskRecord,
  data: ScheduleData,
  paused: boolean,
): Promise<Record<string, unknown>> {
  const command = putScheduleCommand(project, slugOf(task.id), data, paused);
  await cell.apply([command]);
  const record = await cell.query({ type: 'schedule', id: schedulePrefixOf(project) + data.id });
  if (!record) throw new ApiError('not_found', 'Schedule not found');
  const { environmentType } = readTaskData(task.data);
  return scheduleResponse(record, { id: subjectOf(access.environment), type: environmentType });
}

function dataOf(
  id: string,
  body: {
    cron: string;
    timezone?: string | null | undefined;
    externalId?: string | null | undefined;
    window?: string | null | undefined;
  },
): ScheduleData {
  const timezone = body.timezone ?? 'UTC';
  if (!isTimezone(timezone))
    throw new ApiError('invalid', `Invalid IANA timezone: "${timezone}". GET /api/v1/timezones lists them`);
  checkedCron(body.cron, timezone);
  const window = body.window ? scheduleWindow(body.window) : undefined;
  if (window === null) throw new ApiError('invalid', `Invalid schedule window "${body.window}". ${NO_WINDOW}`);
  return {
    id,
    type: 'IMPERATIVE',
    cron: body.cron,
    timezone,
    ...(body.externalId ? { externalId: body.externalId } : {}),
    ...(window === undefined ? {} : { window }),
  };
}

/** @throws ApiError 422 when no worker has the task, or has it as an ordinary one */
async function scheduledTask({ cell }: Call, project: string, slug: string): Promise<TaskRecord> {
  const task = await cell.query({ type: 'task', id: taskIdOf(project, slug) });
  if (!task) throw new ApiError('invalid', `Task with identifier ${slug} not found in your project`);
  if (readTaskData(task.data).triggerSource !== 'schedule')
    throw new ApiError(
      'invalid',
      `Task with identifier ${slug} is not a scheduled task: define it with schedules.task`,
    );
  return task;
}

async function known(
  c: RouteContext,
  call: Call,
): Promise<{ record: ScheduleRecord; data: ScheduleData; project: string }> {
  const project = await requireProject(c, call);
  const record = await call.cell.query({ type: 'schedule', id: schedulePrefixOf(project) + param(c, 'schedule') });
  const data = record && readScheduleData(record);
  if (!record || !data) throw new ApiError('not_found', 'Schedule not found');
  return { record, data, project };
}

function refuseDeclared(data: ScheduleData, what: string): void {
  if (data.type === 'DECLARATIVE')
    throw new ApiError('bad_request', `A declarative schedule cannot be ${what}: change the cron of its task`);
}

async function environmentOf({ access, cell }: Call, record: ScheduleRecord): Promise<{ id: string; type: string }> {
  const task = await cell.query({ type: 'task', id: record.start.task });
  return { id: subjectOf(access.environment), type: readTaskData(task?.data ?? '{}').environmentType };
}
