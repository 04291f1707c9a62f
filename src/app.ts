import { Hono } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { EnvironmentContext, RouteEnv } from '../core/ports.ts';
import { blobRoutes } from './api/blobs.ts';
import { environmentRoutes } from './api/environments.ts';
import { executionRoutes } from './api/executions.ts';
import { internalRoutes } from './api/internal.ts';
import { timeRoutes } from './api/time.ts';
import type { Bindings } from './bindings.ts';
import { BLOB_PATH } from './blobs/presign.ts';
import { noteStorageError, storageTrouble } from './cell/storage-trouble.ts';
import { listenedChannels } from './channel/listened.ts';
import { contextOf } from './context.ts';
import { requestBegins, requestEnds } from './ending.ts';
import { identify } from './environments/identify.ts';
import { bootAll, cellsInUse, environmentsInUse, isInUse } from './environments/registry.ts';
import { RequestHost } from './route-host.ts';
import { DRAINED_CHANNELS, VENDOR_ROUTES } from './vendors.ts';

export type App = Hono<RouteEnv & { Bindings: Bindings }>;

/** Built by an isolate's first request: outside of one the runtime's clock stands at zero. */
export function createApp(env: Bindings): App {
  const startedAt = Date.now();
  const context = contextOf(env);
  const app: App = new Hono<RouteEnv & { Bindings: Bindings }>();
  app.use(async (c, next) => {
    const claimed = identify(env, c.req.raw, context);
    const own = claimed instanceof Promise ? await claimed : claimed;
    const here = own.serverUrl === '' ? at(own, originOf(c.req.url)) : own;
    c.set('host', new RequestHost(env, here, c.req.raw, (work) => c.executionCtx.waitUntil(work)));
    requestBegins();
    try {
      await next();
    } finally {
      requestEnds();
    }
    // Whichever vendor has rendered it.
    if (c.error) noteStorageError(c.error);
    if (!c.req.raw.bodyUsed) await discardRest(c.req.raw);
  });
  const health = { mode: context.mode, version: context.vars.REPOINT_VERSION ?? '0.0.0' };
  for (const path of ['/health', '/healthz'])
    app.get(path, (c) => {
      const trouble = storageTrouble();
      return c.json({ status: 'ok', ...trouble, ...health, uptimeMs: Date.now() - startedAt }, trouble ? 503 : 200);
    });
  app.get('/readyz', async (c) => {
    await bootAll(env).catch((error: unknown) => {
      noteStorageError(error);
      if (storageTrouble() === null) throw error;
    });
    const trouble = storageTrouble();
    return c.json({ status: 'ok', ...trouble, ...health }, trouble ? 503 : 200);
  });
  const internalToken = context.vars.REPOINT_INTERNAL_TOKEN;
  if (internalToken)
    app.route(
      '/internal',
      internalRoutes(internalToken, {
        cells: () => cellsInUse(env),
        workChannels: async () =>
          (await environmentsInUse(env)).flatMap((environment) =>
            DRAINED_CHANNELS.map((name) => env.CHANNEL.get(env.CHANNEL.idFromName(`${environment}/${name}`))),
          ),
        listenedChannels: () => listenedChannels().map((id) => env.CHANNEL.get(env.CHANNEL.idFromString(id))),
      }),
    );
  if (context.mode === 'dev')
    app.route(
      '/api/test',
      timeRoutes(() => cellsInUse(env)),
    );
  else
    app.all('/api/test/*', (c) =>
      c.json({ error: 'time control and test routes exist in dev mode only: start with --mode dev' }, 403),
    );
  app.route('/api/executions', executionRoutes());
  app.route('/api/environments', environmentRoutes(env));
  app.route(
    BLOB_PATH,
    blobRoutes((environment) => isInUse(env, environment)),
  );
  for (const routes of VENDOR_ROUTES) app.route('/', routes());
  // People's set-ups wait for a server by its root.
  app.get('/', (c) => c.json({ name: 'repoint', ...health }));
  app.notFound((c) =>
    c.json({ error: `nothing is served at ${c.req.method} ${c.req.path}${hintFor(c.req.path)}` }, 404),
  );
  app.onError((error, c) => {
    // The route, not the path: an event's path is its key, a callback's address is its secret.
    console.error('unhandled:', c.req.method, matchedRoutes(c).at(-1)?.path, error);
    return c.json({ error: 'internal error, see the server log', status: 500 }, 500);
  });
  return app;
}

/** The two mistakes that lead to a path that is nobody's: a base URL with a path of its own, and one that is meant for the app. */
function hintFor(path: string): string {
  if (path.startsWith('/api/inngest'))
    return ': that is where an app serves its functions, not a path of this server; set INNGEST_BASE_URL of the app to the origin of this server, and sync the app by the app’s own URL';
  const prefix =
    /^(\/.+?)\/(?:e\/[^/]+|fn\/register|v1\/(?:events|runs|checkpoint|signals)|v0\/gql|v2\/publish|api\/v1\/tasks)/.exec(
      path,
    );
  return prefix ? `: give the base URL without the path "${prefix[1]}"` : '';
}

/** Origin of an absolute URL, without the cost of parsing it. */
function originOf(url: string): string {
  const end = url.indexOf('/', url.indexOf('://') + 3);
  return end < 0 ? url : url.slice(0, end);
}

/** An environment's context at the origin by which a request came, where none is configured: of the newest origin only, and nearly all come by one. */
let newest: { own: EnvironmentContext; here: EnvironmentContext } | null = null;

function at(own: EnvironmentContext, serverUrl: string): EnvironmentContext {
  if (newest?.own !== own || newest.here.serverUrl !== serverUrl) newest = { own, here: { ...own, serverUrl } };
  return newest.here;
}

/** A longer body is cut off: its sender sees a reset instead of the answer. */
const MAX_DISCARDED_BYTES = 64 * 1_048_576;

/** A body that was refused unread would break the connection before the sender has read why. What is declared nowhere is counted as it comes. */
async function discardRest(request: Request): Promise<void> {
  // Asked for first: a body that is looked at becomes a stream of its own.
  if (!request.body || Number(request.headers.get('content-length') ?? 0) > MAX_DISCARDED_BYTES) return;
  let leftBytes = MAX_DISCARDED_BYTES;
  try {
    for await (const chunk of request.body) {
      leftBytes -= (chunk as Uint8Array).byteLength;
      // To leave the loop cancels the stream.
      if (leftBytes < 0) return;
    }
  } catch {
    // The sender has gone.
  }
}
