import { describe, expect, it, vi } from 'vitest';
import { inngestRoutes } from '../compat/inngest/index.ts';
import { qstashRoutes } from '../compat/qstash/index.ts';
import { triggerRoutes } from '../compat/trigger/index.ts';
import { TestChannels } from '../core/testing/channels.ts';
import { TestEngine } from '../core/testing/harness.ts';
import { NodeSql } from '../core/testing/node-sql.ts';
import { testCell } from '../core/testing/route-host.ts';
import { type App, createApp } from './app.ts';
import type { Bindings } from './bindings.ts';
import { TRANSLATORS } from './vendors.ts';

/*
 * Bad input at every route that the server has. The list is the router's own, so no new route escapes: each is asked without a key, with wrong
 * keys, with the right one and bodies that are nothing, by other methods, and with a body without end.
 */

vi.mock('cloudflare:workers', () => ({ DurableObject: Object, WorkerEntrypoint: Object }));

const KEYS = {
  INNGEST_EVENT_KEY: 'event-key-of-the-test',
  INNGEST_SIGNING_KEY: 'signkey-prod-00112233445566778899aabbccddeeff',
  TRIGGER_SECRET_KEY: 'tr_prod_secretofthetest00',
  TRIGGER_ACCESS_TOKEN: 'tr_pat_tokenofthetest0000',
  QSTASH_TOKEN: 'eyJVc2VySUQiOiJ0ZXN0IiwiUGFzc3dvcmQiOiJ0ZXN0In0=',
  QSTASH_CURRENT_SIGNING_KEY: 'sig_current',
  QSTASH_NEXT_SIGNING_KEY: 'sig_next',
  REPOINT_API_KEY: 'native-key-of-the-test',
  REPOINT_INTERNAL_TOKEN: 'internal-token-of-the-test',
};
const WRONG_KEYS = [
  'nonsense',
  'signkey-prod-ffffffffffffffffffffffffffffffff',
  'tr_prod_00000000000000000000',
  'tr_dev_00000000000000000000',
  'tr_pat_00000000000000000000',
  'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=',
  'eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo',
];
const WRONG_BODIES = [
  '',
  '{',
  'null',
  '[]',
  '7',
  '"text"',
  '{"name":7}',
  '[{"name":"a"},7,null]',
  `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  '{"__proto__":{"x":1},"constructor":1}',
  '\u0000\uffff',
];
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** The largest body that any route takes, and as much as is thrown away of one that is too long. */
const MAX_READ_BYTES = 200 * 1_048_576;

/** Answered to anybody, and why. */
const PUBLIC: Readonly<Record<string, string>> = {
  'GET /': 'says that there is a server',
  'GET /health': 'for load balancers',
  'GET /healthz': 'for load balancers',
  'GET /readyz': 'for load balancers',
  'OPTIONS /e/:key': 'preflight of a browser',
  'OPTIONS /v0/gql': 'preflight of a browser',
  'GET /connect': 'a gateway’s socket, whose first frame has the key',
  'POST /otel/v1/:signal{traces|logs|metrics}': 'takes what exporters without a key send, and keeps nothing',
  'GET /api/v1/timezones': 'the same list for everybody',
};

/** Values for a parameter of a path: the first that its pattern takes. */
const SAMPLES = [
  'x',
  '01J0000000000000000000000A',
  'run_01j0000000000000000000000a',
  'traces',
  '1',
  'v1',
  'http://x',
  'wfr_x',
  'dev',
  'payload',
];

type Vendor = 'inngest' | 'qstash' | 'trigger' | 'ours';

interface Route {
  method: string;
  path: string;
  vendor: Vendor;
}

class Server {
  readonly t = new TestEngine({ sql: new NodeSql(), translators: { ...TRANSLATORS } });
  readonly app: App;
  readonly #env: Bindings;

  constructor(vars: Record<string, string>) {
    const cell = {
      ...testCell(this.t.engine),
      boot: async () => {},
      drain: async () => ({ idle: true }),
      clockNow: async () => this.t.nowMs,
      clockAdvance: async () => ({ nowMs: this.t.nowMs, idle: true }),
      idle: async () => ({ idle: true, inFlight: 0, ready: 0, nextDueAt: null }),
    };
    const channels = new TestChannels(() => new NodeSql());
    const named = <T>(get: (name: string) => T): object => ({ idFromName: (name: string) => name, get });
    this.#env = {
      CELL: named(() => cell),
      CHANNEL: named((name) => Object.assign(channels.of('default', name), { drain: async () => {} })),
      SHELF: named(() => ({ fetch: async () => new Response(null, { status: 404 }) })),
      INGEST: { send: async () => {} },
      ...vars,
    } as unknown as Bindings;
    this.app = createApp(this.#env);
  }

  async ask(method: string, path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
    const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
    const request = new Request(`http://server.test${path}`, { method, ...init });
    const response = await this.app.fetch(request, this.#env, context as unknown as ExecutionContext);
    // A stream of news has no end.
    if (/event-stream/.test(response.headers.get('content-type') ?? '')) {
      await response.body?.cancel();
      return { status: response.status, text: '' };
    }
    return { status: response.status, text: await response.text() };
  }

  /** Rows of each table. */
  rows(): Record<string, number> {
    const tables = this.t.sql.all<{ name: string }>(`SELECT name FROM sqlite_master WHERE type = 'table'`);
    return Object.fromEntries(
      tables.map(({ name }) => [name, this.t.sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${name}`)[0]?.n ?? 0]),
    );
  }
}

/** A path that the route takes. */
function sampleOf({ path, vendor }: Route): string {
  return path
    .split(/\/(?![^{]*\})/)
    .map((part) => {
      // Two vendors have this path: whose it is, its run says.
      if (vendor === 'trigger' && part === ':run') return 'run_01j0000000000000000000000a';
      const pattern = /^:[a-z_]+(?:\{(.*)\})?(\?)?$/i.exec(part);
      if (!pattern) return part.replace('*', 'x');
      const sample = SAMPLES.find((one) => new RegExp(`^(?:${pattern[1] ?? '[^/]+'})$`).test(one));
      if (sample === undefined) throw new Error(`no sample fits ${part} of ${path}: give one`);
      return sample;
    })
    .join('/');
}

function isRefusal(status: number): boolean {
  return status >= 400;
}

/** What is wrong with an answer, or null. */
function faultOf(vendor: Vendor, { status, text }: { status: number; text: string }): string | null {
  if (status >= 500 && status !== 501) return 'fails';
  if (!isRefusal(status)) return null;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (typeof body !== 'object' || body === null) return 'is no object';
  if ('error' in body && typeof body.error === 'string' && body.error !== '') return null;
  if (vendor === 'inngest' && 'errors' in body && Array.isArray(body.errors) && body.errors.length > 0) return null;
  return 'has not the shape of an error';
}

function routesOf(app: App): Route[] {
  const known = new Map<string, Vendor>();
  const vendors = [
    ['inngest', inngestRoutes()],
    ['qstash', qstashRoutes()],
    ['trigger', triggerRoutes()],
  ] as const;
  for (const [vendor, routes] of vendors)
    for (const { method, path } of routes.routes) {
      const name = `${method} ${path}`;
      if (!known.has(name)) known.set(name, vendor);
    }
  const unique = new Map<string, Route>();
  for (const { method, path } of app.routes) {
    const name = `${method} ${path}`;
    // Middleware stands in the table under every method; what it stands before is there by itself.
    if (method === 'ALL' && path.endsWith('*')) continue;
    for (const one of method === 'ALL' ? METHODS : [method])
      unique.set(`${one} ${path}`, { method: one, path, vendor: known.get(name) ?? 'ours' });
  }
  return [...unique.values()];
}

const production = new Server({ REPOINT_MODE: 'production', ...KEYS });
const dev = new Server({ REPOINT_MODE: 'dev', ...KEYS });
const routes = routesOf(production.app);

const bearer = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });

function keyOf({ vendor, path }: Route): string {
  if (path.startsWith('/internal')) return KEYS.REPOINT_INTERNAL_TOKEN;
  return {
    inngest: KEYS.INNGEST_SIGNING_KEY,
    qstash: KEYS.QSTASH_TOKEN,
    trigger: KEYS.TRIGGER_SECRET_KEY,
    ours: KEYS.REPOINT_API_KEY,
  }[vendor];
}

describe('every route', () => {
  const wrong: string[] = [];

  async function check(
    server: Server,
    route: Route,
    what: string,
    path: string,
    init: RequestInit,
    method = route.method,
  ): Promise<number> {
    const before = server.rows();
    const answer = await server.ask(method, path, init);
    const fault = faultOf(route.vendor, answer);
    const shown = `${route.vendor} ${method} ${route.path} with ${what}: ${answer.status} ${answer.text.slice(0, 160)}`;
    if (fault) wrong.push(`${shown} ${fault}`);
    if (isRefusal(answer.status) && JSON.stringify(server.rows()) !== JSON.stringify(before))
      wrong.push(`${shown} was refused and left something: ${JSON.stringify(server.rows())}`);
    return answer.status;
  }

  it('is in the list', () => {
    expect(routes.length).toBeGreaterThan(250);
    for (const vendor of ['inngest', 'qstash', 'trigger', 'ours'] as const)
      expect(routes.some((route) => route.vendor === vendor)).toBe(true);
  });

  it('asks for a key, and takes no wrong one', async () => {
    const open: string[] = [];
    wrong.length = 0;
    for (const route of routes)
      for (const key of [null, ...WRONG_KEYS]) {
        const status = await check(production, route, `key ${key}`, sampleOf(route), {
          ...(key === null ? {} : bearer(key)),
          ...(route.method === 'GET' ? {} : { body: '{}' }),
        });
        const name = `${route.method} ${route.path}`;
        if (!isRefusal(status) && !(name in PUBLIC)) open.push(`${name} with key ${key}: ${status}`);
      }
    expect(wrong).toEqual([]);
    expect(open).toEqual([]);
  }, 120_000);

  it.each([
    ['production', production],
    ['dev', dev],
  ])(
    'refuses bodies that are nothing, in its vendor’s form and without effect (%s)',
    async (_mode, server) => {
      wrong.length = 0;
      for (const route of routesOf(server.app))
        for (const body of route.method === 'GET' ? [null] : WRONG_BODIES)
          for (const type of ['application/json', 'text/plain'])
            await check(server, route, `body ${body?.slice(0, 30)}`, sampleOf(route), {
              headers: { authorization: `Bearer ${keyOf(route)}`, 'content-type': type },
              ...(body === null ? {} : { body }),
            });
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  it('is not there under another method or another path', async () => {
    wrong.length = 0;
    const taken = new Set(routes.map(({ method, path }) => `${method} ${path}`));
    for (const route of routes)
      for (const method of METHODS) {
        if (taken.has(`${method} ${route.path}`)) continue;
        const init = { ...bearer(keyOf(route)), ...(method === 'GET' ? {} : { body: '{}' }) };
        await check(production, route, 'another method', sampleOf(route), init, method);
        await check(production, route, 'another path', `${sampleOf(route)}/no/such/path`, init, method);
      }
    expect(wrong).toEqual([]);
  }, 120_000);

  it('reads no body without end', async () => {
    wrong.length = 0;
    const chunk = new Uint8Array(1_048_576).fill(0x20);
    for (const route of routes.filter(({ method }) => method !== 'GET')) {
      let sentBytes = 0;
      const body = new ReadableStream({
        pull(controller) {
          sentBytes += chunk.length;
          if (sentBytes > 1.5 * MAX_READ_BYTES) controller.close();
          else controller.enqueue(chunk);
        },
      });
      const init = { ...bearer(keyOf(route)), body, duplex: 'half' } as RequestInit;
      const status = await check(production, route, 'a body without end', sampleOf(route), init);
      if (sentBytes > MAX_READ_BYTES)
        wrong.push(`${route.method} ${route.path} reads ${sentBytes} bytes, answered ${status}`);
    }
    expect(wrong).toEqual([]);
  }, 300_000);
});
