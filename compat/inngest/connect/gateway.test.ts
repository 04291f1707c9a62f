import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LeasedCall } from '../../../core/model/call.ts';
import type { CellApi, ChannelSocket, EnvironmentContext, SocketHost } from '../../../core/ports.ts';
import { TestEngine } from '../../../core/testing/harness.ts';
import { NodeSql } from '../../../core/testing/node-sql.ts';
import { EXECUTOR, taskIdOf } from '../names.ts';
import { inngestTranslator } from '../translator.ts';
import { ConnectGateway } from './gateway.ts';
import {
  CONNECT_MESSAGE,
  EXECUTOR_REQUEST,
  EXTEND_LEASE,
  EXTEND_LEASE_ACK,
  frame,
  KIND,
  REQUEST_REF,
  SDK_RESPONSE,
  STATUS,
  WORKER_CONNECT,
} from './messages.ts';
import { sessionToken } from './session-token.ts';
import { decode, encode, type Message } from './wire.ts';

const STEP = '57e8a7776d6892a83f2a49678f8141f4fb883e62';
const text = new TextEncoder();

class FakeSocket implements ChannelSocket {
  readonly id: string;
  readonly data = '';
  state = '';
  sent: Array<{ kind: number; payload: Uint8Array }> = [];
  closedWith: [number | undefined, string | undefined] | null = null;

  constructor(id: string) {
    this.id = id;
  }
  send(data: string | Uint8Array): void {
    const { kind = 0, payload = new Uint8Array() } = decode(CONNECT_MESSAGE, data as Uint8Array);
    this.sent.push({ kind, payload });
  }
  close(code?: number, reason?: string): void {
    this.closedWith = [code, reason];
  }
  topics = (): string[] => [];
  follow(): void {}
  unfollow(): void {}

  of(kind: number): Uint8Array[] {
    return this.sent.filter((one) => one.kind === kind).map((one) => one.payload);
  }
  requests(): Array<Message<typeof EXECUTOR_REQUEST>> {
    return this.of(KIND.executorRequest).map((payload) => decode(EXECUTOR_REQUEST, payload));
  }
}

/** A gateway over an engine in memory. Timers are vitest's; work is looked for again whenever `settle` is called. */
class Setup {
  readonly engine = new TestEngine({ sql: new NodeSql(), translators: { [EXECUTOR]: inngestTranslator } });
  readonly context: EnvironmentContext;
  readonly failures: unknown[] = [];
  dispatched: LeasedCall[] = [];
  gateway: ConnectGateway;
  readonly #open: FakeSocket[] = [];
  #held: Array<() => void> = [];
  #serial = 0;

  constructor(vars: Record<string, string> = {}, mode: 'dev' | 'production' = 'dev') {
    this.context = { mode, environment: 'default', serverUrl: 'http://server', wallClockMs: () => Date.now(), vars };
    this.gateway = this.restart();
  }

  restart(): ConnectGateway {
    const { engine } = this;
    const cell: CellApi = {
      apply: async (commands) => engine.engine.apply(commands),
      query: async (query) => engine.engine.query(query),
      lease: async (request) => {
        const calls = engine.engine.lease(request);
        if (calls.length > 0) return calls;
        await new Promise<void>((resolve) => this.#held.push(resolve));
        return engine.engine.lease(request);
      },
      watch: async () => null,
    };
    const host: SocketHost = {
      context: this.context,
      environment: 'default',
      cell,
      sockets: () => this.#open,
      dispatch: async (call) => {
        this.dispatched.push(call);
        return { ops: [{ op: 'step', key: call.key, data: '"fetched"' }] };
      },
      waitUntil: (work) => void work.catch((error: unknown) => this.failures.push(error)),
    };
    this.gateway = new ConnectGateway(host);
    return this.gateway;
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      for (const resolve of this.#held.splice(0)) resolve();
      await vi.advanceTimersByTimeAsync(0);
    }
    if (this.failures.length > 0) throw this.failures[0];
  }

  async hello(over: Message<typeof WORKER_CONNECT> = {}, functions: unknown = [definition()]): Promise<FakeSocket> {
    const socket = new FakeSocket(`s${++this.#serial}`);
    this.#open.push(socket);
    this.gateway.opened(socket);
    const message = {
      connectionId: socket.id,
      instanceId: 'worker',
      auth: { sessionToken: await sessionToken(socket.id, this.context) },
      apps: [{ appName: 'app', functions: text.encode(JSON.stringify(functions)) }],
      ...over,
    };
    await this.say(socket, KIND.workerConnect, encode(WORKER_CONNECT, message));
    await this.settle();
    return socket;
  }

  async say(socket: FakeSocket, kind: number, payload?: Uint8Array): Promise<void> {
    await this.gateway.received(socket, frame(kind, payload));
    await this.settle();
  }

  async reply(socket: FakeSocket, response: Message<typeof SDK_RESPONSE>): Promise<void> {
    await this.say(socket, KIND.reply, encode(SDK_RESPONSE, response));
  }

  async start(): Promise<string> {
    const [result] = this.engine.engine.apply([
      { type: 'start', spec: { task: taskIdOf('app-f'), input: '{"data":{},"id":"e","name":"n","ts":1,"user":{}}' } },
    ]);
    await this.settle();
    return result?.type === 'start' ? result.run : '';
  }

  run(id: string) {
    return this.engine.engine.query({ type: 'run-detail', run: id });
  }
}

function definition(id = 'app-f'): object {
  const runtime = { type: 'ws', url: `wss://connect?fnId=${id}&stepId=step` };
  return { id, name: id, triggers: [{ event: 'go' }], steps: { step: { id: 'step', name: 'step', runtime } } };
}

function stepRun(data: unknown): Uint8Array {
  return text.encode(JSON.stringify([{ op: 'StepRun', id: STEP, name: 'a', data }]));
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a worker introduces itself', () => {
  it('its functions are registered, and it is told how often to be heard', async () => {
    const setup = new Setup();
    const socket = await setup.hello();
    expect(socket.sent.map(({ kind }) => kind)).toEqual([KIND.gatewayHello, KIND.gatewayReady]);
    expect(setup.engine.engine.query({ type: 'task', id: taskIdOf('app-f') })).toMatchObject({
      mode: 'pull',
      pool: 'inngest/app',
    });
  });

  it('and is sent away where it may not be, with the code of the vendor', async () => {
    const setup = new Setup({ INNGEST_SIGNING_KEY: 'signkey-test-00' }, 'production');
    const closed = async (over: Message<typeof WORKER_CONNECT>): Promise<unknown> =>
      (await setup.hello(over)).closedWith;
    const app = { appName: 'app', functions: text.encode('[]') };
    expect(await closed({ auth: { sessionToken: 'made up' } })).toEqual([1008, 'connect_authentication_failed']);
    expect(await closed({ connectionId: 'another' })).toEqual([1008, 'connect_authentication_failed']);
    expect(await closed({ instanceId: '' })).toEqual([1008, 'connect_worker_hello_invalid_payload']);
    expect(await closed({ apps: [] })).toEqual([1008, 'connect_worker_hello_invalid_payload']);
    expect(await closed({ apps: Array.from({ length: 11 }, () => app) })).toEqual([
      1008,
      'connect_too_many_apps_per_connection',
    ]);
    expect(await closed({})).toBeNull();
  });

  it('functions that are invalid are not registered, and it is told which and why', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    const setup = new Setup();
    const socket = await setup.hello({}, [{ ...definition(), triggers: [{ cron: 'never' }] }]);
    expect(new TextDecoder().decode(socket.of(KIND.syncFailed)[0])).toMatch(/Function "app-f".*cron "never"/);
    expect(socket.closedWith).toEqual([1008, 'connect_invalid_function_config']);
    expect(setup.engine.engine.query({ type: 'task', id: taskIdOf('app-f') })).toBeNull();
  });

  it('what is no message, or too early, or too late, closes the connection', async () => {
    const setup = new Setup();
    const socket = new FakeSocket('s');
    setup.gateway.opened(socket);
    await setup.gateway.received(socket, Uint8Array.from([0x0a]));
    expect(socket.closedWith).toEqual([1008, 'connect_worker_hello_invalid_payload']);
    await setup.say(socket, KIND.workerHeartbeat);
    expect(socket.closedWith).toEqual([1008, 'connect_worker_hello_invalid_msg']);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(socket.closedWith).toEqual([1008, 'connect_worker_hello_timeout']);
  });
});

describe('requests', () => {
  it('go to a worker once it is ready, and its reply is kept before it is acknowledged', async () => {
    const setup = new Setup();
    const socket = await setup.hello({ manualReadiness: true });
    const run = await setup.start();
    expect(socket.requests()).toEqual([]);
    await setup.say(socket, KIND.workerReady);
    const [request] = socket.requests();
    expect(request).toMatchObject({ appName: 'app', functionSlug: 'app-f', stepId: 'step', runId: run });
    expect(JSON.parse(new TextDecoder().decode(request?.payload)).ctx.qi_id).toBe(request?.leaseId);
    const requestId = request?.requestId ?? '';
    await setup.reply(socket, { requestId, status: STATUS.done, body: text.encode('"done"'), requestVersion: 2 });
    expect(socket.of(KIND.replyAck).map((payload) => decode(REQUEST_REF, payload))).toEqual([{ requestId }]);
    expect(setup.run(run)).toMatchObject({ status: 'completed', output: '"done"' });
  });

  it('go to as many as there is room for; the rest wait', async () => {
    const setup = new Setup();
    const one = await setup.hello({ maxConcurrency: 1 });
    const two = await setup.hello({ maxConcurrency: 2 });
    for (let i = 0; i < 4; i++) await setup.start();
    expect([one.requests().length, two.requests().length]).toEqual([1, 2]);
    const requestId = one.requests()[0]?.requestId ?? '';
    await setup.reply(one, { requestId, status: STATUS.done, body: text.encode('1') });
    expect([one.requests().length, two.requests().length]).toEqual([2, 2]);
  });

  it('that nobody takes are given to another, and nothing is counted', async () => {
    const setup = new Setup();
    const deaf = await setup.hello({ maxConcurrency: 1 });
    const run = await setup.start();
    expect(deaf.requests()).toHaveLength(1);
    const other = await setup.hello();
    await vi.advanceTimersByTimeAsync(10_000);
    await setup.settle();
    expect(other.requests()).toHaveLength(1);
    expect(setup.run(run)?.pending[0]).toMatchObject({ attempt: 0, lapses: 0 });
  });

  it('of a worker that says goodbye go to another at once; of one that breaks off after a while', async () => {
    for (const { code, waitMs } of [
      { code: 1000, waitMs: 0 },
      { code: 1006, waitMs: 10_000 },
    ]) {
      const setup = new Setup();
      const leaving = await setup.hello();
      const run = await setup.start();
      await setup.say(leaving, KIND.requestAck, encode(REQUEST_REF, leaving.requests()[0] ?? {}));
      const other = await setup.hello();
      setup.gateway.closed(leaving, code);
      await setup.settle();
      await vi.advanceTimersByTimeAsync(waitMs);
      await setup.settle();
      setup.engine.advance(10);
      await setup.settle();
      expect(other.requests()).toHaveLength(1);
      expect(setup.run(run)?.pending[0]).toMatchObject({ attempt: 0, lapses: 1 });
      // What the first one had done in the meantime is kept, once.
      await setup.reply(other, { requestId: leaving.requests()[0]?.requestId ?? '', status: 0, body: stepRun(1) });
      await setup.reply(other, { requestId: other.requests()[0]?.requestId ?? '', status: 0, body: stepRun(2) });
      expect(setup.run(run)?.steps.map(({ data }) => data)).toEqual(['1']);
    }
  });

  it('stay with a worker that comes back in time and says that it has them', async () => {
    const setup = new Setup();
    const before = await setup.hello();
    const run = await setup.start();
    const [request] = before.requests();
    await setup.say(before, KIND.requestAck, encode(REQUEST_REF, request ?? {}));
    setup.gateway.closed(before, 1006);
    const after = await setup.hello();
    const extend = encode(EXTEND_LEASE, { requestId: request?.requestId ?? '', leaseId: request?.leaseId ?? '' });
    await setup.say(after, KIND.extendLease, extend);
    await vi.advanceTimersByTimeAsync(20_000);
    await setup.settle();
    expect(after.requests()).toEqual([]);
    await setup.reply(after, { requestId: request?.requestId ?? '', status: 0, body: stepRun('kept') });
    expect(setup.run(run)?.steps.map(({ data }) => data)).toEqual(['"kept"']);
  });

  it('are known by a gateway that has forgotten them: extended, and answered', async () => {
    const setup = new Setup();
    const before = await setup.hello();
    const run = await setup.start();
    const [request] = before.requests();
    setup.restart();
    const after = await setup.hello();
    const ref = { requestId: request?.requestId ?? '', leaseId: request?.leaseId ?? '' };
    await setup.say(after, KIND.extendLease, encode(EXTEND_LEASE, ref));
    expect(after.of(KIND.extendLeaseAck).map((payload) => decode(EXTEND_LEASE_ACK, payload))).toEqual([
      { requestId: ref.requestId, newLeaseId: ref.leaseId },
    ]);
    await setup.gateway.asked(
      JSON.stringify({
        type: 'reply',
        response: btoa(
          String.fromCharCode(
            ...encode(SDK_RESPONSE, { requestId: ref.requestId, status: STATUS.done, body: text.encode('7') }),
          ),
        ),
      }),
    );
    expect(setup.run(run)).toMatchObject({ status: 'completed', output: '7' });
    // The lease is over: who asks for more of it learns so.
    await setup.say(after, KIND.extendLease, encode(EXTEND_LEASE, ref));
    expect(decode(EXTEND_LEASE_ACK, after.of(KIND.extendLeaseAck)[1] ?? new Uint8Array())).not.toHaveProperty(
      'newLeaseId',
    );
  });

  it('a request that takes one worker down after the other ends its attempt', async () => {
    const setup = new Setup();
    let worker = await setup.hello();
    const run = await setup.start();
    for (let i = 0; i < 3; i++) {
      if (i > 0) worker = await setup.hello();
      await setup.say(worker, KIND.requestAck, encode(REQUEST_REF, worker.requests()[0] ?? {}));
      setup.gateway.closed(worker, 1000);
      await setup.settle();
      setup.engine.advance(10);
    }
    expect(setup.run(run)?.pending[0]).toMatchObject({ attempt: 1, lapses: 0 });
  });

  it('that the server makes itself need no worker', async () => {
    const setup = new Setup();
    const worker = await setup.hello();
    const run = await setup.start();
    const fetching = { op: 'Gateway', id: STEP, name: 'f', opts: { url: 'http://x.test/', method: 'GET' } };
    await setup.reply(worker, {
      requestId: worker.requests()[0]?.requestId ?? '',
      status: STATUS.notCompleted,
      body: text.encode(JSON.stringify([fetching])),
    });
    expect(setup.dispatched.map(({ key }) => key)).toEqual([STEP]);
    expect(setup.run(run)?.steps.map(({ data }) => data)).toEqual(['"fetched"']);
    expect(worker.requests()).toHaveLength(2);
  });
});

describe('ends', () => {
  it('an error that is not to be retried fails the run, also where the SDK calls it done', async () => {
    for (const body of ['{"__serialized":true,"message":"no","name":"Error"}', 'error calling function: no']) {
      const setup = new Setup();
      const worker = await setup.hello();
      const run = await setup.start();
      const requestId = worker.requests()[0]?.requestId ?? '';
      const status = body.startsWith('{') ? STATUS.done : STATUS.error;
      await setup.reply(worker, { requestId, status, noRetry: true, body: text.encode(body) });
      expect(setup.run(run)?.status).toBe('failed');
      expect(JSON.parse(String(setup.run(run)?.error))).toMatchObject({ message: 'no', name: 'Error' });
    }
  });

  it('a worker that is silent for long is gone', async () => {
    const setup = new Setup();
    const [silent, alive] = [await setup.hello(), await setup.hello()];
    await vi.advanceTimersByTimeAsync(40_000);
    await setup.say(alive, KIND.workerHeartbeat);
    expect(alive.of(KIND.gatewayHeartbeat)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(15_000);
    setup.gateway.tick.run();
    expect(silent.closedWith).toEqual([1011, 'connect_internal_error']);
    expect(alive.closedWith).toBeNull();
    expect(JSON.parse(await setup.gateway.asked('{"type":"connections"}'))).toHaveLength(1);
  });

  it('before the process ends workers may finish, get nothing new, and are told', async () => {
    const setup = new Setup();
    const worker = await setup.hello();
    await setup.start();
    const drained = vi.fn();
    void setup.gateway.drain(4_000).then(drained);
    await setup.settle();
    expect(worker.of(KIND.gatewayClosing)).toEqual([]);
    await setup.start();
    expect(worker.requests()).toHaveLength(1);
    expect(drained).not.toHaveBeenCalled();
    const requestId = worker.requests()[0]?.requestId ?? '';
    await setup.reply(worker, { requestId, status: STATUS.done, body: text.encode('1') });
    await vi.advanceTimersByTimeAsync(50);
    await vi.advanceTimersByTimeAsync(100);
    expect(drained).toHaveBeenCalled();
    expect(worker.closedWith).toEqual([1001, 'connect_gateway_closing']);
    expect(worker.of(KIND.gatewayClosing)).toHaveLength(1);
    const late = new FakeSocket('late');
    setup.gateway.opened(late);
    expect(late.closedWith).toEqual([1001, 'connect_gateway_closing']);
    expect(await setup.gateway.asked('{"type":"state"}')).toBe('{"draining":true}');
  });
});
