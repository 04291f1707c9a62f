import { AsyncLocalStorage } from 'node:async_hooks';
import { Inngest as Inngest4 } from 'inngest';
import { createDefer } from 'inngest/experimental';
import { serve as serveWorkers4 } from 'inngest/cloudflare';
import { serve as serve4 } from 'inngest/edge';
import { Inngest as Inngest3 } from 'inngest3';
import { serve as serve3 } from 'inngest3/edge';
import { expect } from '../harness/index.ts';
import type { CaseContext, FetchHandler } from '../harness/index.ts';

// Both versions keep their async context under one global symbol, each in its own shape; in one process it has to be both.
const storage = new AsyncLocalStorage();
Object.assign(globalThis, {
  [Symbol.for('inngest:als')]: Object.assign(Promise.resolve(storage), {
    promise: Promise.resolve(storage),
    resolved: storage,
    isFallback: false,
  }),
});

/** The tools of both versions that the cases use; only the way a function is made differs between them. */
export interface Tools {
  run<T>(id: string, body: () => T | Promise<T>): Promise<T>;
  sleep(id: string, time: string | number | object): Promise<void>;
  sleepUntil(id: string, time: Date | string | object): Promise<void>;
  waitForEvent(
    id: string,
    options: { event: string | object; timeout: string | number | object; if?: string; match?: string },
  ): Promise<ReceivedEvent | null>;
  invoke(
    id: string,
    options: { function: never; data?: unknown; timeout?: string | number | object },
  ): Promise<unknown>;
  sendEvent(id: string, event: unknown): Promise<{ ids: string[] }>;
  waitForSignal(id: string, options: { signal: string; timeout: string; onConflict: string }): Promise<unknown>;
  sendSignal(id: string, options: { signal: string; data?: unknown }): Promise<unknown>;
  fetch(url: string, init?: RequestInit): Promise<Response>;
  ai: {
    infer(id: string, options: { model: unknown; body: unknown }): Promise<unknown>;
    wrap<T>(id: string, body: (...args: never[]) => Promise<T>, ...args: unknown[]): Promise<T>;
  };
}

export interface ReceivedEvent {
  id: string;
  name: string;
  ts: number;
  data: Record<string, unknown>;
}

export interface FunctionContext {
  step: Tools;
  event: ReceivedEvent;
  events: ReceivedEvent[];
  attempt: number;
  runId: string;
  /** Version 4. */
  group: { parallel(options: { mode: 'race' }, body: () => Promise<unknown>): Promise<unknown> };
  /** Version 4. */
  defer(id: string, options: { function: never; data: unknown }): { abort(): void };
  /** In onFailure. */
  error?: Error;
}

export interface Definition {
  id: string;
  triggers: Array<{ event: string; if?: string } | { cron: string }>;
  retries?: number;
  concurrency?: unknown;
  onFailure?: (context: FunctionContext) => unknown;
  /** Version 4: made with `createDefer`. */
  deferred?: boolean;
  /** Version 4: whatever makes it of the client and its options, where that is neither `createFunction` nor `createDefer`. */
  make?: (client: never, options: never) => never;
  body: (context: FunctionContext, functions: Readonly<Record<string, never>>) => unknown;
  /** Any further option, as the SDK calls it. */
  options?: Record<string, unknown>;
}

export interface Flavour {
  label: string;
  sdk: string;
  version: 3 | 4;
  checkpointing: boolean;
}

export const FLAVOURS: readonly Flavour[] = [
  { label: 'SDK 4, checkpointing', sdk: 'inngest 4.24.0', version: 4, checkpointing: true },
  { label: 'SDK 4, classic', sdk: 'inngest 4.24.0', version: 4, checkpointing: false },
  { label: 'SDK 3', sdk: 'inngest 3.54.2', version: 3, checkpointing: false },
];

export interface Keys {
  eventKey?: string;
  signingKey?: string;
  signingKeyFallback?: string;
}

export interface AppOptions {
  /** Default: the server under test. */
  url?: string;
  /** Default: an app of a name of its own. */
  id?: string;
  /** Cloud mode: requests are signed on both sides. */
  keys?: Keys;
  /** The mode and the server come from the process's environment. */
  fromEnvironment?: boolean;
  streaming?: boolean;
  middleware?: unknown[];
  /** Any further option of the client. */
  client?: Record<string, unknown>;
  /** Sees every request that reaches the app. */
  onCall?: (request: Request) => void;
  /** Stands between the server and the app. */
  proxy?: (request: Request, next: (request: Request) => Promise<Response>) => Promise<Response>;
}

export interface RunView {
  run_id: string;
  function_id: string;
  status: string;
  output: unknown;
  run_started_at: string;
  ended_at: string | null;
}

export interface App {
  id: string;
  /** Where the SDK's handler is served. */
  url: string;
  /** Requests for calls (POST) so far. */
  calls: number;
  send(event: unknown): Promise<{ ids: string[] }>;
  /** Asks the app to register itself, as a person or the dev server does. */
  sync(): Promise<{ status: number; message: string; modified: boolean }>;
  /** GET of the server's API with the app's key. */
  read<T>(path: string): Promise<T>;
  runsOf(eventId: string): Promise<RunView[]>;
  /** Waits until every run of the event has ended. */
  ended(eventId: string, count?: number): Promise<RunView[]>;
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Serves an app with these functions and registers it with the server. */
export async function startApp(
  context: CaseContext,
  flavour: Flavour,
  definitions: Definition[],
  options: AppOptions = {},
): Promise<App> {
  const app = await serveApp(context, flavour, definitions, options);
  const synced = await app.sync();
  expect.equal(synced.status, 200, synced.message);
  return app;
}

/** As `startApp`, without registering. */
export async function serveApp(
  context: CaseContext,
  flavour: Flavour,
  definitions: Definition[],
  options: AppOptions = {},
): Promise<App> {
  const server = options.url ?? context.url;
  const id = options.id ?? context.unique('app');
  const connection = options.fromEnvironment ? {} : { baseUrl: server, isDev: options.keys === undefined };
  const { handler, client } =
    flavour.version === 4
      ? makeV4(id, flavour, definitions, options, connection)
      : makeV3(id, definitions, options, connection);
  const authorization = `Bearer ${options.keys?.signingKey ?? 'none'}`;
  const served = await context.serveHttp((request) => {
    if (request.method === 'POST') app.calls++;
    options.onCall?.(request);
    const next = async (one: Request): Promise<Response> => await handler(one);
    return options.proxy ? options.proxy(request, next) : next(request);
  });
  const read = async <T>(path: string): Promise<T> => {
    const response = await fetch(new URL(path, server), { headers: { authorization } });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { data: T }).data;
  };
  const app: App = {
    id,
    url: `${served.url}/api/inngest`,
    calls: 0,
    send: (event) => client.send(event),
    async sync() {
      const response = await fetch(app.url, { method: 'PUT' });
      const body = (await response.json()) as { message: string; modified: boolean };
      return { status: response.status, ...body };
    },
    read,
    runsOf: (eventId) => read<RunView[]>(`/v1/events/${eventId}/runs`),
    ended: (eventId, count = 1) =>
      context.until(
        async () => {
          const runs = await read<RunView[]>(`/v1/events/${eventId}/runs`);
          return runs.length >= count && runs.every((run) => run.ended_at !== null) ? runs : null;
        },
        { what: `the end of the runs of ${eventId}` },
      ),
  };
  return app;
}

interface Made {
  handler: FetchHandler;
  client: { send(event: unknown): Promise<{ ids: string[] }> };
}

function makeV4(
  id: string,
  flavour: Flavour,
  definitions: Definition[],
  { keys, streaming, middleware, client: further }: AppOptions,
  connection: object,
): Made {
  const client = new Inngest4({
    id,
    ...connection,
    ...keys,
    checkpointing: flavour.checkpointing,
    ...(middleware ? { middleware } : {}),
    logger: quiet,
    ...further,
  } as never);
  const functions: Record<string, never> = {};
  for (const { id, triggers, body, options, deferred, make, ...rest } of definitions) {
    const run = (context: FunctionContext): unknown => body(context, functions);
    const made = make
      ? make(client as never, { id, ...options } as never)
      : deferred
        ? createDefer(client, { id, ...options } as never, run as never)
        : client.createFunction({ id, triggers, ...rest, ...options } as never, run as never);
    functions[id] = made as never;
  }
  // The handler for edge runtimes has lost its streaming in version 4; the one for Workers has it.
  const served = { client, functions: Object.values(functions), streaming: streaming ?? false } as never;
  const workers = serveWorkers4(served) as unknown as (request: Request, env: object) => Promise<Response>;
  const handler = streaming ? (request: Request) => workers(request, {}) : serve4(served);
  return { handler: handler as FetchHandler, client: client as unknown as Made['client'] };
}

function makeV3(
  id: string,
  definitions: Definition[],
  { keys, streaming, middleware, client: further }: AppOptions,
  connection: object,
): Made {
  const client = new Inngest3({
    id,
    ...connection,
    ...(keys?.eventKey === undefined ? {} : { eventKey: keys.eventKey }),
    ...(middleware ? { middleware } : {}),
    logger: quiet,
    ...further,
  } as never);
  const functions: Record<string, never> = {};
  for (const { id, triggers, body, options, ...rest } of definitions) {
    const run = (context: FunctionContext): unknown => body(context, functions);
    functions[id] = client.createFunction(
      { id, ...rest, ...options } as never,
      triggers as never,
      run as never,
    ) as never;
  }
  const handler = serve3({
    client,
    functions: Object.values(functions),
    logLevel: 'silent',
    ...(streaming ? { streaming: 'force' } : {}),
    ...(keys?.signingKey === undefined ? {} : { signingKey: keys.signingKey }),
    ...(keys?.signingKeyFallback === undefined ? {} : { signingKeyFallback: keys.signingKeyFallback }),
  } as never);
  return { handler: handler as FetchHandler, client: client as unknown as Made['client'] };
}

export function outputOf<T>(run: RunView | undefined): T {
  return (run ?? fail('no run')).output as T;
}

/** A function that throws what an assertion cannot say in an expression. */
export function fail(message: string): never {
  throw new Error(message);
}
