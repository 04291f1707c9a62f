import type { Command, ResultOf } from '../../core/model/command.ts';
import type { ScheduleRecord } from '../../core/model/task.ts';
import { parseCron } from '../../core/schedule/cron.ts';
import { schedulePrefix, TASK_FAN_OUT, TASK_MESSAGE } from './constants.ts';
import { parseDestination } from './destination.ts';
import { payloadOf } from './encoding.ts';
import { badHeader, WireError } from './errors.ts';
import { newScheduleId } from './ids.ts';
import { limitsOf, retryPolicy } from './limits.ts';
import { parseMeta, type RunMeta } from './meta.ts';
import { deliveryFields } from './message-view.ts';
import { type ItemPlan, messageMeta, type PublishItem, sharedCommands } from './item.ts';
import type { Route } from './route.ts';
import { endpointsOf } from './url-groups.ts';

/** What the engine keeps for us beside the schedule. */
interface ScheduleData {
  /** As given, trimmed. */
  cron: string;
}

export async function planSchedule(route: Route, item: PublishItem): Promise<ItemPlan> {
  const { options } = item;
  if (!options.cron) throw new WireError(400, 'invalid header Upstash-Cron: it is missing');
  const parsed = parseCron(options.cron);
  if (!parsed.ok) throw badHeader('Upstash-Cron', options.cron, parsed.error);
  const destination = parseDestination(item.destination);
  const scheduleId = options.scheduleId ?? newScheduleId();
  const target =
    destination.kind === 'url'
      ? { url: destination.url }
      : { url: destination.name, topic: destination.name, fanOut: await knownEndpoints(route, destination.name) };
  const meta = messageMeta(options, { ...target, schedule: scheduleId }, route.host.callerIp);
  const command: Command = {
    type: 'put-schedule',
    schedule: {
      id: schedulePrefix + scheduleId,
      cron: parsed.cron.fields,
      timezone: parsed.cron.timezone,
      start: {
        task: meta.fanOut ? TASK_FAN_OUT : TASK_MESSAGE,
        input: payloadOf(item.body),
        meta: JSON.stringify(meta),
        limits: meta.fanOut ? [] : limitsOf(meta),
        maxAttempts: meta.retries + 1,
        retry: retryPolicy(meta.retryDelay),
      },
      delayMs: options.delayMs,
      data: JSON.stringify({ cron: options.cron } satisfies ScheduleData),
    },
  };
  const shared = sharedCommands(options);
  return {
    commands: [...shared, command],
    messages: 0,
    answer: (results) => {
      const result = results[shared.length] as ResultOf<'put-schedule'>;
      return { body: { scheduleId: result.id.slice(schedulePrefix.length) }, deduplicated: false };
    },
  };
}

async function knownEndpoints(route: Route, group: string): Promise<NonNullable<RunMeta['fanOut']>> {
  const endpoints = await endpointsOf(route, group);
  if (endpoints.length === 0) throw new WireError(404, `url group ${group} not found`);
  return endpoints;
}

/** After a group has changed: its schedules send to the endpoints that it has now. */
export async function refreshSchedules(route: Route, group: string): Promise<void> {
  const schedules = await route.ask({ type: 'schedules', prefix: schedulePrefix });
  const affected = schedules.filter(
    ({ start }) => start.task === TASK_FAN_OUT && parseMeta(start.meta ?? null).topic === group,
  );
  if (affected.length === 0) return;
  const fanOut = await endpointsOf(route, group);
  await route.apply(
    affected.map(({ createdAt: _c, lastAt: _l, nextAt: _n, lastRuns: _r, ...schedule }): Command => {
      const meta: RunMeta = { ...parseMeta(schedule.start.meta ?? null), fanOut };
      const start = { ...schedule.start, meta: JSON.stringify(meta) };
      return { type: 'put-schedule', schedule: { ...schedule, start } };
    }),
  );
}

/** The schedule object of the API. */
export async function scheduleView(route: Route, record: ScheduleRecord): Promise<Record<string, unknown>> {
  const meta = parseMeta(record.start.meta ?? null);
  const data = JSON.parse(record.data ?? '{}') as Partial<ScheduleData>;
  const { url, maxRetries, ...fields } = await deliveryFields(meta, record.start.input);
  return {
    scheduleId: record.id.slice(schedulePrefix.length),
    cron: data.cron ?? record.cron ?? '',
    createdAt: record.createdAt,
    destination: url,
    retries: maxRetries,
    ...fields,
    ...(record.delayMs ? { delay: Math.round(record.delayMs / 1000) } : {}),
    isPaused: record.paused ?? false,
    ...(record.lastAt === null ? {} : { lastScheduleTime: record.lastAt }),
    ...(record.nextAt === null || record.paused ? {} : { nextScheduleTime: record.nextAt }),
    ...(await lastStates(route, record)),
  };
}

async function lastStates(route: Route, record: ScheduleRecord): Promise<Record<string, unknown>> {
  const [last] = record.lastRuns;
  if (last === undefined || record.start.task === TASK_FAN_OUT) return {};
  const run = await route.ask({ type: 'run', run: last });
  if (!run) return {};
  const state = run.status === 'completed' ? 'SUCCESS' : run.status === 'running' ? 'IN_PROGRESS' : 'FAIL';
  return { lastScheduleStates: { [`msg_${last}`]: state } };
}
