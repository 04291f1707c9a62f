import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES, schedulePrefix } from '../constants.ts';
import { splitTarget } from '../destination.ts';
import { json, notFound, WireError } from '../errors.ts';
import { parseOptions } from '../options.ts';
import type { Route } from '../route.ts';
import { planItem } from '../publish.ts';
import { scheduleView } from '../schedules.ts';

export async function createSchedule(route: Route): Promise<Response> {
  const { destination, options: fromQuery } = splitTarget(route.url, '/v2/schedules/');
  const headers = [...fromQuery, ...route.request.headers];
  const options = parseOptions(headers);
  if (!options.cron) throw new WireError(400, 'invalid header Upstash-Cron: it is missing');
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const plan = await planItem(route, { destination, options, headers, body });
  return json(plan.answer(await route.apply(plan.commands)).body);
}

export async function listSchedules(route: Route): Promise<Response> {
  const schedules = await route.ask({ type: 'schedules', prefix: schedulePrefix });
  return json(await Promise.all(schedules.map((schedule) => scheduleView(route, schedule))));
}

export async function getSchedule(route: Route): Promise<Response> {
  const id = route.param('id');
  const schedule = await route.ask({ type: 'schedule', id: schedulePrefix + id });
  if (!schedule) throw notFound(`schedule ${id}`);
  return json(await scheduleView(route, schedule));
}

export async function deleteSchedule(route: Route): Promise<Response> {
  const id = route.param('id');
  const { found } = await route.one({ type: 'delete-schedule', id: schedulePrefix + id });
  if (!found) throw notFound(`schedule ${id}`);
  return json({});
}

export function pauseSchedule(paused: boolean) {
  return async (route: Route): Promise<Response> => {
    const id = route.param('id');
    const { found } = await route.one({ type: 'pause-schedule', id: schedulePrefix + id, paused });
    if (!found) throw notFound(`schedule ${id}`);
    return json({});
  };
}
