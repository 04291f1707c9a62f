import { AsyncLocalStorage } from 'node:async_hooks';
import { Inngest } from 'inngest';
import { serve } from 'inngest/edge';
import { Inngest as Inngest3 } from 'inngest3';
import { serve as serve3 } from 'inngest3/edge';
import { expect } from 'vitest';
import type { Handler, LocalServer } from './local-server.ts';

// Both versions keep their async context under one global symbol, each in its own shape; in one process it has to be both.
const storage = new AsyncLocalStorage();
Object.assign(globalThis, {
  [Symbol.for('inngest:als')]: Object.assign(Promise.resolve(storage), {
    promise: Promise.resolve(storage),
    resolved: storage,
    isFallback: false,
  }),
});

export const APP_URL = 'http://app.test/api/inngest';
export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

// Types of the two versions differ in how a function is made; what it does is the same.
interface Tools {
  run<T>(id: string, body: () => T | Promise<T>): Promise<T>;
  sleep(id: string, time: string): Promise<void>;
  waitForEvent(
    id: string,
    options: { event: string; timeout: string; if?: string; match?: string },
  ): Promise<{ data: unknown } | null>;
  invoke(id: string, options: { function: never; data?: unknown; timeout?: string }): Promise<unknown>;
  sendEvent(id: string, event: unknown): Promise<{ ids: string[] }>;
  waitForSignal(id: string, options: { signal: string; timeout: string; onConflict?: string }): Promise<unknown>;
  sendSignal(id: string, options: { signal: string; data?: unknown }): Promise<unknown>;
}
interface Context {
  step: Tools;
  event: { name: string; id: string; data: Record<string, unknown> };
  attempt: number;
  runId: string;
  error?: Error;
}
export interface Definition {
  id: string;
  event?: string;
  cron?: string;
  retries?: number;
  concurrency?: unknown;
  if?: string;
  onFailure?: (context: Context) => unknown;
  body: (context: Context, functions: Record<string, never>) => unknown;
}

export interface Client {
  send(event: unknown): Promise<{ ids: string[] }>;
}

function triggersOf({
  event,
  cron,
  if: expression,
}: {
  event?: string | undefined;
  cron?: string | undefined;
  if?: string | undefined;
}): object[] {
  return [...(event ? [{ event, ...(expression ? { if: expression } : {}) }] : []), ...(cron ? [{ cron }] : [])];
}

type MakeApp = (server: LocalServer, definitions: Definition[]) => Promise<Client>;

export const makeV4 =
  (checkpointing: boolean): MakeApp =>
  async (server, definitions) => {
    const client = new Inngest({
      id: 'app',
      isDev: true,
      baseUrl: 'http://server.test',
      fetch: server.fetch as never,
      checkpointing,
      logger: quiet,
    });
    const functions: Record<string, never> = {};
    for (const { id, event, cron, body, if: expression, ...options } of definitions) {
      const triggers = triggersOf({ event, cron, if: expression });
      functions[id] = client.createFunction(
        { id, triggers, ...options } as never,
        ((context: Context) => body(context, functions)) as never,
      ) as never;
    }
    server.app = serve({ client, functions: Object.values(functions) as never[] }) as Handler;
    await sync(server);
    return client as unknown as Client;
  };

const makeV3: MakeApp = async (server, definitions) => {
  const client = new Inngest3({
    id: 'app',
    isDev: true,
    baseUrl: 'http://server.test',
    fetch: server.fetch as never,
    logger: quiet,
  });
  const functions: Record<string, never> = {};
  for (const { id, event, cron, body, if: expression, ...options } of definitions) {
    const triggers = triggersOf({ event, cron, if: expression });
    functions[id] = client.createFunction(
      { id, ...options } as never,
      triggers as never,
      ((context: Context) => body(context, functions)) as never,
    ) as never;
  }
  server.app = serve3({
    client,
    functions: Object.values(functions) as never[],
    fetch: server.fetch as never,
    baseUrl: 'http://server.test',
  }) as Handler;
  await sync(server);
  return client as unknown as Client;
};

export async function sync(server: LocalServer): Promise<{ status: number; modified?: boolean; message?: string }> {
  const response = await server.app(new Request(APP_URL, { method: 'PUT', headers: { host: 'app.test' } }));
  const body = (await response.json()) as { modified?: boolean; message?: string };
  expect(response.status, body.message).toBe(200);
  return { status: response.status, ...body };
}

export const SDKS: Array<[string, MakeApp]> = [
  ['SDK 4, checkpointing', makeV4(true)],
  ['SDK 4, classic', makeV4(false)],
  ['SDK 3', makeV3],
];
