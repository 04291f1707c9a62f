import { Hono } from 'hono';
import { Engine } from '../../../core/engine/engine.ts';
import type { LeasedCall } from '../../../core/model/call.ts';
import type { EnvironmentContext, RouteEnv } from '../../../core/ports.ts';
import { TestChannels } from '../../../core/testing/channels.ts';
import { NodeSql } from '../../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../../core/testing/route-host.ts';
import { EXECUTOR, inngestExecutor, inngestRoutes, inngestTranslator } from '../index.ts';

export type Handler = (request: Request) => Promise<Response>;

/** Engine, routes and one app in this process; time moves only when told. */
export class LocalServer {
  /** Ahead of the clients' clocks: an event of the future would wait. */
  now = Date.now() + 5_000;
  calls: LeasedCall[] = [];
  bodies: string[] = [];
  alarmAt: number | null = null;
  app: Handler = () => Promise.resolve(new Response('no app', { status: 404 }));
  readonly sql = new NodeSql();
  readonly channels = new TestChannels(() => new NodeSql());
  readonly engine: Engine;
  readonly context: EnvironmentContext;
  readonly routes: Hono<RouteEnv>;
  #active = 0;

  constructor(vars: Record<string, string> = {}, mode: 'dev' | 'production' = 'dev') {
    this.context = {
      mode,
      environment: 'default',
      serverUrl: 'http://server.test',
      wallClockMs: () => Date.now(),
      vars,
    };
    this.engine = new Engine({
      sql: this.sql,
      clock: { now: () => this.now },
      random: { next: () => 0.5 },
      translators: { [EXECUTOR]: inngestTranslator },
      cell: 0,
      address: 'default/0',
      effects: {
        dispatch: (calls) => {
          for (const call of calls) void this.#send(call);
        },
        ready: () => {},
        changed: () => {},
        mail: () => {},
        alarm: (at) => {
          this.alarmAt = at;
        },
      },
    });
    const host = testHost(this.context, testCell(this.engine), { channels: this.channels });
    this.routes = new Hono<RouteEnv>();
    this.routes.use(async (c, next) => {
      c.set('host', host);
      await next();
    });
    this.routes.route('/', inngestRoutes());
  }

  /** An app of plain HTTP with one function, started by one event. */
  async register(url: string, event: string): Promise<Response> {
    const steps = { step: { id: 'step', runtime: { type: 'http', url } } };
    const functions = [{ id: 'app-f', triggers: [{ event }], steps }];
    return this.routes.request('/fn/register', {
      method: 'POST',
      body: JSON.stringify({ url, appName: 'app', functions }),
    });
  }

  /** What the SDK takes for the network. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    this.routes.fetch(new Request(input, init));

  async #send(call: LeasedCall): Promise<void> {
    this.#active++;
    try {
      this.calls.push(call);
      const request = await inngestExecutor.request(call, this.context);
      if ('skip' in request) throw new Error('skipped');
      this.bodies.push(request.body as string);
      const response = await this.app(
        new Request(request.url, {
          method: 'POST',
          headers: [...request.headers, ['host', 'app.test']],
          body: request.body as string,
        }),
      );
      const result = {
        ok: true,
        status: response.status,
        headers: [...response.headers] as Array<[string, string]>,
        body: new Uint8Array(await response.arrayBuffer()),
        truncated: false,
        durationMs: 0,
      } as const;
      const outcome = await inngestExecutor.outcome(call, result, this.context);
      this.engine.apply([{ type: 'report', run: call.run, lease: call.lease, outcome, final: true }]);
    } finally {
      this.#active--;
    }
  }

  async idle(): Promise<void> {
    for (let quietTurns = 0; quietTurns < (this.#active === 0 ? 1 : 5);) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      quietTurns = this.#active === 0 ? quietTurns + 1 : 0;
    }
  }

  /** Moves time from timer to timer. */
  async advance(ms: number): Promise<void> {
    await this.idle();
    const end = this.now + ms;
    for (;;) {
      const next = this.engine.query({ type: 'stats' }).nextDueAt;
      if (next === null || next > end) break;
      this.now = Math.max(this.now, next);
      while (this.engine.wake());
      if (this.#active > 0) await this.idle();
    }
    this.now = end;
    this.engine.wake();
    await this.idle();
  }

  async get(path: string): Promise<{ status: number; data: never }> {
    const response = await this.routes.request(path, { headers: { authorization: 'Bearer x' } });
    const body = (await response.json()) as { data: never };
    return { status: response.status, data: body.data };
  }

  /** The runs that an event started, as the API tells them. */
  async runsOf(
    event: string,
  ): Promise<Array<{ run_id: string; status: string; output: unknown; function_id: string }>> {
    return (await this.get(`/v1/events/${event}/runs`)).data;
  }
}
