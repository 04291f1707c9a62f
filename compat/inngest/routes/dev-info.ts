import { serverKind } from '../auth.ts';
import { InngestError } from '../errors.ts';
import { readFunctionData } from '../function-data.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { EXECUTOR } from '../names.ts';

/** GET /dev: how older SDKs find a development server. */
export async function devInfo(c: RouteContext): Promise<Response> {
  if (serverKind(c.var.host.context) === 'cloud')
    throw new InngestError(404, 'not_found', 'This server runs in production mode.');
  const tasks = await cellOf(c).query({ type: 'tasks' });
  const functions = tasks
    .filter((task) => task.executor === EXECUTOR)
    .map((task) => ({ task, fn: readFunctionData(task.data) }));
  return c.json({
    version: 'repoint',
    isSingleNodeService: false,
    startOpts: {},
    features: {},
    functions: functions.map(({ task, fn }) => ({
      id: fn.id,
      slug: fn.slug,
      name: task.name,
      version: task.version,
      triggers: task.triggers.map((trigger) =>
        trigger.kind === 'cron'
          ? { cron: trigger.cron }
          : { event: trigger.pattern, expression: trigger.expression ?? null },
      ),
      url: fn.url,
    })),
    handlers: [],
  });
}
