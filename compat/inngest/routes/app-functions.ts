import { findApp, functionsOf } from '../apps.ts';
import type { KnownFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope } from '../http.ts';
import type { RouteContext } from '../http.ts';

/** GET /v1/apps/:app/functions */
export async function listAppFunctions(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  const name = c.req.param('app') ?? '';
  const app = await findApp(cell, name);
  if (!app) throw new InngestError(404, 'unknown-app', `No app "${name}" has registered.`);
  const functions = await functionsOf(cell, app.name);
  return envelope(c, JSON.stringify(functions.map(functionV1)));
}

/** A function as the first API and the dev server's pages show it. */
export function functionV1({ task, fn }: KnownFunction): object {
  return {
    id: fn.id,
    slug: fn.slug,
    name: task.name,
    version: task.version,
    app_id: fn.appId,
    triggers: task.triggers.map((trigger) =>
      trigger.kind === 'cron'
        ? { cron: trigger.cron }
        : { event: trigger.pattern, expression: trigger.expression ?? null },
    ),
    url: fn.url,
  };
}
