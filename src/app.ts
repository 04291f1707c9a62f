import { Hono } from 'hono';
import { matchedRoutes } from 'hono/route';
import { cellName, DEFAULT_ENVIRONMENT } from '../core/model/placement.ts';
import type { CellApi, RouteEnv, RouteHost } from '../core/ports.ts';
import { BLOB_SECRET, blobRoutes } from './api/blobs.ts';
import { environmentRoutes } from './api/environments.ts';
import { executionRoutes } from './api/executions.ts';
import { internalRoutes } from './api/internal.ts';
import { timeRoutes } from './api/time.ts';
import type { Bindings } from './bindings.ts';
import { BlobClient } from './blobs/blobs.ts';
import { BLOB_PATH } from './blobs/presign.ts';
import { secretOf } from './blobs/secret.ts';
import { CellClient } from './cell/cell-client.ts';
import { cellStub } from './cell/cell-stub.ts';
import { ChannelClient } from './channel/channel-client.ts';
import { noteStorageError, noting, storageTrouble } from './cell/storage-trouble.ts';
import { listenedChannels } from './channel/listened.ts';
import { contextOf } from './context.ts';
import { countRequest, isEnding } from './ending.ts';
import { identify } from './environments/identify.ts';
import { bootAll, cellsInUse, environmentsInUse, isInUse, noteEnvironment } from './environments/registry.ts';
import { DRAINED_CHANNELS, VENDOR_ROUTES } from './vendors.ts';

export type App = Hono<RouteEnv & { Bindings: Bindings }>;

/** Built by an isolate's first request: outside of one the runtime's clock stands at zero. */
export function createApp(env: Bindings): App {
  const startedAt = Date.now();
  const context = contextOf(env);
  const app: App = new Hono<RouteEnv & { Bindings: Bindings }>();
  app.use(async (c, next) => {
    const own = await identify(env, c.req.raw, context);
    const here = own.serverUrl === '' ? { ...own, serverUrl: originOf(c.req.url) } : own;
    const cell = (environment: string): CellApi =>
      noting(
        new CellClient(
          cellStub(env, environment),
          cellName(environment, 0),
          env.INGEST,
          environment === DEFAULT_ENVIRONMENT ? undefined : () => noteEnvironment(env, environment),
        ),
      );
    const host: RouteHost = {
      context: here,
      cell,
      channel: (environment, name) =>
        new ChannelClient(env.CHANNEL.get(env.CHANNEL.idFromName(`${environment}/${name}`))),
      blobs: (environment) =>
        new BlobClient(env, environment, here.serverUrl, () => secretOf(environment, cell(environment), BLOB_SECRET)),
      waitUntil: (work) => c.executionCtx.waitUntil(work),
      isEnding,
      callerIp: c.req.header('cf-connecting-ip') ?? '127.0.0.1',
    };
    c.set('host', host);
    await countRequest(next);
    // Whichever vendor has rendered it.
    if (c.error) noteStorageError(c.error);
    await discardRest(c.req.raw);
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

/** A longer body is cut off: its sender sees a reset instead of the answer. */
const MAX_DISCARDED_BYTES = 64 * 1_048_576;

/** A body that was refused unread would break the connection before the sender has read why. What is declared nowhere is counted as it comes. */
async function discardRest(request: Request): Promise<void> {
  // Asked for first: a body that is looked at becomes a stream of its own.
  if (request.bodyUsed || !request.body || Number(request.headers.get('content-length') ?? 0) > MAX_DISCARDED_BYTES)
    return;
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
