import { Hono } from 'hono';
import { expect } from 'vitest';
import type { CellApi, RouteEnv } from '../../../core/ports.ts';
import { TestEngine } from '../../../core/testing/harness.ts';
import { TestChannels } from '../../../core/testing/channels.ts';
import { NodeSql } from '../../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../../core/testing/route-host.ts';
import { triggerRoutes, triggerTranslator } from '../index.ts';
import { api } from './vendor-schemas.ts';

export const PROJECT = 'proj_test';
const KEY = `tr_dev_ref_${PROJECT}`;

export interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

export interface SendOptions {
  key?: string | null;
  headers?: Record<string, string>;
}

/** The routes over an engine in memory, in dev mode, its clock standing still. */
export class Session {
  readonly t = new TestEngine({ sql: new NodeSql(), translators: { trigger: triggerTranslator } });
  readonly app = new Hono<RouteEnv>();
  mode: 'dev' | 'production' = 'dev';
  vars: Record<string, string> = {};
  readonly cell: CellApi;

  constructor() {
    this.cell = testCell(this.t.engine);
    const channels = new TestChannels(() => new NodeSql());
    this.app.use(async (c, next) => {
      const { mode, vars } = this;
      const serverUrl = 'http://server';
      const context = { mode, environment: 'default', serverUrl, wallClockMs: () => Date.now(), vars };
      c.set('host', testHost(context, this.cell, { channels }));
      await next();
    });
    this.app.route('/', triggerRoutes());
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    { key = KEY, headers = {} }: SendOptions = {},
  ): Promise<Answer> {
    const response = await this.app.request(path, {
      method,
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
  }

  /** The body of an answer that the vendor's own schema accepts. */
  async ok<T>(schema: string, method: string, path: string, body?: unknown, options?: SendOptions): Promise<T> {
    return checked<T>(await this.send(method, path, body, options), schema);
  }

  async register(tasks: object[] = [task('work')], more: object = {}): Promise<void> {
    const text = JSON.stringify([tasks, more]);
    const contentHash = `${text.slice(0, 100)} ${text.length} ${text.slice(-100)}`;
    const metadata = { packageVersion: '4.8.3', contentHash, tasks, ...more };
    const path = `/api/v1/projects/${PROJECT}/background-workers`;
    await this.ok('CreateBackgroundWorkerResponse', 'POST', path, { localOnly: true, metadata });
  }

  async trigger(id = 'work', options: object = {}, headers: Record<string, string> = {}): Promise<string> {
    const body = { payload: '{"n":1}', options: { payloadType: 'application/json', ...options } };
    const path = `/api/v1/tasks/${id}/trigger`;
    return (await this.ok<{ id: string }>('TriggerTaskResponse', 'POST', path, body, { headers })).id;
  }

  async run(id: string): Promise<Record<string, unknown>> {
    return this.ok('RetrieveRunResponse', 'GET', `/api/v3/runs/${id}`);
  }

  /** Takes what is ready as a worker would and ends it. */
  finish(output = '"done"'): number {
    const calls = this.t.engine.lease({ pool: `trigger/${PROJECT}/dev`, max: 1_000, holdMs: 60_000, holder: 'w' });
    for (const call of calls) this.t.report(call, { op: 'complete', output });
    return calls.length;
  }
}

export function checked<T>(answer: Answer, schema: string, status = 200): T {
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  const parsed = api[schema]?.safeParse(answer.body);
  expect(parsed?.success, parsed?.error?.message ?? `no schema ${schema}`).toBe(true);
  return answer.body as T;
}

export const task = (id: string, more: object = {}): object => ({
  id,
  filePath: 'src/a.ts',
  entryPoint: 'src/a.ts',
  ...more,
});
