import { allApps, findApp, functionsOf } from '../apps.ts';
import type { AppRecord } from '../apps.ts';
import { hashSigningKey, signingKeys } from '../auth.ts';
import { InngestError } from '../errors.ts';
import { inspectApp } from '../inspect.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2 } from '../http-v2.ts';
import { functionV1 } from './app-functions.ts';
import { functionOfPath } from './invoke.ts';

/** GET /v2/apps */
export async function listAppsV2(c: RouteContext): Promise<Response> {
  const apps = await allApps(cellOf(c));
  return answerV2(c, apps.map(appV2), { cursor: null, hasMore: false, limit: apps.length });
}

/** GET /v2/apps/:app; with `inspect=true` the app is asked for its configuration, and whether it holds this server's key. */
export async function getAppV2(c: RouteContext): Promise<Response> {
  const app = await neededApp(c);
  const functions = await functionsOf(cellOf(c), app.name);
  if (c.req.query('inspect') !== 'true') return answerV2(c, { ...appV2(app), functionCount: functions.length });
  const inspection = await inspectApp(c.var.host.context, app.url, functions[0]?.fn.slug ?? null);
  return answerV2(c, { ...appV2(app), functionCount: functions.length, inspection });
}

/** GET /v2/apps/:app/functions */
export async function listFunctionsV2(c: RouteContext): Promise<Response> {
  const functions = await functionsOf(cellOf(c), (await neededApp(c)).name);
  return answerV2(c, functions.map(functionV1), { cursor: null, hasMore: false, limit: functions.length });
}

/** GET /v2/apps/:app/functions/:fn */
export async function getFunctionV2(c: RouteContext): Promise<Response> {
  return answerV2(c, functionV1(await functionOfPath(c)));
}

/** GET /v2/envs: the one that these keys mean. */
export function listEnvsV2(c: RouteContext): Response {
  const envs = [{ id: 'default', name: 'default', type: 'PRODUCTION', isArchived: false }];
  return answerV2(c, envs, { cursor: null, hasMore: false, limit: envs.length });
}

/** GET /v2/keys/events: names of the keys that are set, never the keys. */
export function listEventKeysV2(c: RouteContext): Response {
  const keys = (c.var.host.context.vars['INNGEST_EVENT_KEY'] ?? '').split(',').filter((key) => key.trim() !== '');
  const data = keys.map((key, i) => ({
    id: String(i),
    name: i === 0 ? 'default' : `default ${i + 1}`,
    key: masked(key),
  }));
  return answerV2(c, data, { cursor: null, hasMore: false, limit: data.length });
}

/** GET /v2/keys/signing: by the beginning of their hash, as the SDKs show them. */
export async function listSigningKeysV2(c: RouteContext): Promise<Response> {
  const keys = signingKeys(c.var.host.context);
  const data = await Promise.all(
    keys.map(async (key, i) => ({
      id: String(i),
      name: i === 0 ? 'current' : 'fallback',
      key: `${(await hashSigningKey(key)).slice(0, 12)}…`,
    })),
  );
  return answerV2(c, data, { cursor: null, hasMore: false, limit: data.length });
}

/** GET /v2/health */
export function healthV2(c: RouteContext): Response {
  return answerV2(c, { status: 'ok' });
}

function masked(key: string): string {
  return `${key.trim().slice(0, 4)}…`;
}

async function neededApp(c: RouteContext): Promise<AppRecord> {
  const name = c.req.param('app') ?? '';
  const app = await findApp(cellOf(c), name);
  if (!app)
    throw new InngestError(404, 'unknown-app', `No app "${name}" has registered: is it synced with this server?`);
  return app;
}

function appV2(app: AppRecord): object {
  const [language = '', version = ''] = app.sdk.split(':');
  return {
    id: app.name,
    uuid: app.id,
    name: app.name,
    url: app.url,
    method: app.method,
    framework: app.framework,
    sdkLanguage: language,
    sdkVersion: version.replace(/^v/, ''),
    appVersion: app.appVersion,
    syncedAt: new Date(app.syncedAt).toISOString(),
  };
}
