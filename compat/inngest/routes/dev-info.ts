import { allApps, functionsOf } from '../apps.ts';
import { serverKind } from '../auth.ts';
import { InngestError } from '../errors.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { functionV1 } from './app-functions.ts';

/** GET /dev: how older SDKs find a development server. */
export async function devInfo(c: RouteContext): Promise<Response> {
  if (serverKind(c.var.host.context) === 'cloud')
    throw new InngestError(404, 'not_found', 'This server runs in production mode.');
  const [functions, apps] = await Promise.all([functionsOf(cellOf(c)), allApps(cellOf(c))]);
  return c.json({
    version: 'repoint',
    isSingleNodeService: false,
    startOpts: {},
    features: {},
    functions: functions.map(functionV1),
    handlers: apps.map((app) => ({ sdk: { appName: app.name, url: app.url, sdk: app.sdk, framework: app.framework } })),
  });
}
