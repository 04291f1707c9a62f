import fc from 'fast-check';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { HttpCall, HttpResult, RouteEnv } from '../../core/ports.ts';
import { seeded, TestEngine } from '../../core/testing/harness.ts';
import { NodeSql } from '../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../core/testing/route-host.ts';
import { qstashExecutor, qstashRoutes, qstashTranslator } from './index.ts';

const CONTEXT = {
  mode: 'dev' as const,
  environment: 'default',
  serverUrl: 'http://server',
  wallClockMs: () => 0,
  vars: {},
};
const TOKEN = btoa('{"UserID":"races","Password":"x"}');
const RUN = 'wfr_race';
const WORKFLOW = 'http://app.test/workflow';
const THIRD = 'http://third.test/';
const FEATURES = 'InitialBody,WF_DetectTrigger,WF_TriggerOnConfig';
const HOUR_MS = 3_600_000;
const MAX_ACTIONS = 3_000;

/** Branches of the parallel group: steps 2, 3, ... */
const BRANCHES = ['run', 'sleep', 'call', 'run'] as const;
const LAST = BRANCHES.length + 2;

interface Step {
  stepId: number;
  stepName: string;
  concurrent: number;
  targetStep?: number;
  out?: string;
}

interface Post {
  method: string;
  path: string;
  body: string;
}

interface Fate {
  seed: number;
  /** Before which action the run is cancelled, the process lost, the new version of the route deployed; beyond the last: never. */
  cancelAt: number;
  restartAt: number;
  deployAt: number;
  /** How often, in a hundred, a request of the SDK arrives twice, and an answer gets lost behind a broken proxy. */
  twice: number;
  broken: number;
}

/** A route as its SDK serves it, without its memory: what it does follows from the steps that it is shown. */
function decide(steps: Step[], version: 'old' | 'new'): Post[] {
  const results = new Set(steps.filter(({ stepId }) => stepId > 0).map(({ stepId }) => stepId));
  const plans = steps.filter(({ stepId }) => stepId === 0);
  const newest = steps.at(-1);
  if (!results.has(1)) return [batch([stepItem({ stepId: 1, stepName: 'one', concurrent: 1, out: '1' })])];
  if (plans.length === 0) return [batch(BRANCHES.map((kind, i) => planItem(kind, i + 2)))];
  if (newest?.stepId === 0) return [batch([branchItem(newest.targetStep ?? 0)])];
  if (BRANCHES.some((_, i) => !results.has(i + 2))) return [];
  if (!results.has(LAST)) return [batch([stepItem({ stepId: LAST, stepName: 'last', concurrent: 1, out: '1' })])];
  if (version === 'new' && !results.has(LAST + 1))
    return [batch([stepItem({ stepId: LAST + 1, stepName: 'added', concurrent: 1, out: '1' })])];
  const body = JSON.stringify([...results].sort((a, b) => a - b));
  return [{ method: 'DELETE', path: `/v2/workflows/runs/${RUN}?cancel=false`, body }];
}

const batch = (items: object[]): Post => ({ method: 'POST', path: '/v2/batch', body: JSON.stringify(items) });

function item(destination: string, body: string, headers: Record<string, string>): object {
  const common = {
    'upstash-workflow-runid': RUN,
    'upstash-workflow-url': WORKFLOW,
    'upstash-workflow-init': 'false',
    'upstash-feature-set': FEATURES,
    'upstash-forward-upstash-workflow-sdk-version': '1',
  };
  return { destination, body, headers: { ...common, ...headers } };
}

const stepItem = (step: Step, headers: Record<string, string> = {}): object =>
  item(WORKFLOW, JSON.stringify({ stepType: 'Run', ...step }), headers);

const planItem = (kind: string, targetStep: number): object =>
  stepItem(
    { stepId: 0, stepName: `b${targetStep}`, concurrent: BRANCHES.length, targetStep },
    kind === 'sleep' ? { 'upstash-delay': '1h' } : {},
  );

const resultItem = (stepId: number): object =>
  stepItem({ stepId, stepName: `b${stepId}`, concurrent: BRANCHES.length, out: '1' });

function branchItem(stepId: number): object {
  if (BRANCHES[stepId - 2] !== 'call') return resultItem(stepId);
  return item(THIRD, 'ask', {
    'upstash-workflow-calltype': 'toCallback',
    'upstash-retries': '0',
    'upstash-callback': WORKFLOW,
    'upstash-callback-forward-upstash-workflow-callback': 'true',
    'upstash-callback-forward-upstash-workflow-stepid': String(stepId),
  });
}

const decoded = (body: Uint8Array | null): string => new TextDecoder().decode(body ?? new Uint8Array());

/** What the route posts when this delivery arrives. */
function received(request: HttpCall, version: 'old' | 'new'): Post[] {
  if (request.url === THIRD) return [];
  const headers = new Headers(request.headers.map(([name, value]): [string, string] => [name, value]));
  if (headers.get('upstash-workflow-callback') === 'true')
    return [batch([resultItem(Number(headers.get('upstash-workflow-stepid')))])];
  const raw = JSON.parse(decoded(request.body as Uint8Array)) as Array<{ body: string }>;
  return decide(
    raw.slice(1).map(({ body }) => JSON.parse(atob(body)) as Step),
    version,
  );
}

class Race {
  readonly t = new TestEngine({ sql: new NodeSql(), translators: { qstash: qstashTranslator } });
  readonly #app = new Hono<RouteEnv>();
  readonly #fate: Fate;
  readonly #random: { next(): number };
  /** What may happen next, in any order. */
  #actions: Array<() => Promise<void>> = [];
  #broken = new Set<string>();
  #version: 'old' | 'new' = 'old';
  cancelled = false;
  /** What was not as it must be on the way. */
  readonly problems: string[] = [];

  constructor(fate: Fate) {
    this.#fate = fate;
    this.#random = seeded(fate.seed);
    this.#app.use(async (c, next) => {
      c.set('host', testHost(CONTEXT, testCell(this.t.engine)));
      await next();
    });
    this.#app.route('/', qstashRoutes());
  }

  #must(holds: boolean, otherwise: string): void {
    if (!holds) this.problems.push(otherwise);
  }

  #chance(percent: number): boolean {
    return this.#random.next() * 100 < percent;
  }

  async send({ method, path, body }: Post): Promise<{ status: number; text: string }> {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const response = await this.#app.request(path, { method, headers, body });
    const text = await response.text();
    this.#must([200, 400, 404].includes(response.status), `${method} ${path}: ${response.status} ${text}`);
    // The SDK stops silently on these: they must mean that the run is over.
    if (response.status !== 200)
      this.#must(this.t.status(RUN) !== 'running', `${path} is refused to a run that goes on`);
    return { status: response.status, text };
  }

  async #deliver(call: LeasedCall): Promise<void> {
    const request = await qstashExecutor.request(call, CONTEXT);
    if ('skip' in request) return this.#report(call, request.skip);
    const posts = received(request, this.#version);
    for (const post of posts)
      if (this.#chance(this.#fate.twice)) this.#actions.push(async () => void (await this.send(post)));
    // The SDK answers when its requests were answered.
    this.#actions.push(async () => {
      for (const post of posts) await this.send(post);
      const breaks = request.url === WORKFLOW && !this.#broken.has(call.key) && this.#chance(this.#fate.broken);
      if (breaks) this.#broken.add(call.key);
      this.#actions.push(async () => {
        const answer: HttpResult = {
          ok: true,
          status: breaks ? 502 : 200,
          headers: [['upstash-workflow-sdk-version', '1']],
          body: new Uint8Array(),
          truncated: false,
          durationMs: 1,
        };
        this.#report(call, await qstashExecutor.outcome(call, answer, CONTEXT));
      });
    });
  }

  #report(call: LeasedCall, outcome: Outcome): void {
    this.t.apply({ type: 'report', run: call.run, lease: call.lease, outcome, final: true });
  }

  async run(): Promise<void> {
    await this.send(batch([item(WORKFLOW, '"hello"', { 'upstash-workflow-init': 'true' })]));
    let idle = 0;
    for (let n = 0; n < MAX_ACTIONS && idle < 4; n++) {
      if (n === this.#fate.deployAt) this.#version = 'new';
      if (n === this.#fate.restartAt) this.t.restart();
      const calls = this.t.take();
      if (this.cancelled) this.#must(calls.length === 0, `${calls.length} calls after the run was cancelled`);
      for (const call of calls) this.#actions.push(() => this.#deliver(call));
      if (n === this.#fate.cancelAt) {
        const before = this.t.status(RUN);
        const { status } = await this.send({
          method: 'DELETE',
          path: `/v2/workflows/runs/${RUN}?cancel=true`,
          body: '',
        });
        this.#must(status === (before === 'running' ? 200 : 404), `cancelled with ${status} while ${before}`);
        this.cancelled = before === 'running';
      }
      const [action] = this.#actions.splice(Math.floor(this.#random.next() * this.#actions.length), 1);
      if (action) {
        idle = 0;
        await action();
      } else {
        idle++;
        this.t.advance(HOUR_MS);
      }
    }
  }
}

const fate = (changes: Partial<Record<keyof Fate, fc.Arbitrary<number>>> = {}): fc.Arbitrary<Fate> =>
  fc.record({
    seed: fc.nat(),
    cancelAt: fc.constant(MAX_ACTIONS),
    restartAt: fc.constant(MAX_ACTIONS),
    deployAt: fc.constant(MAX_ACTIONS),
    twice: fc.constantFrom(0, 30),
    broken: fc.constantFrom(0, 20),
    ...changes,
  });

/** Everything that must be so of a run that is over, however it came to that. */
function checkEnd({ t, problems }: Race, status: string): string | null {
  expect(problems).toEqual([]);
  const detail = t.engine.query({ type: 'run-detail', run: RUN });
  expect(detail?.status).toBe(status);
  expect(detail?.pending).toEqual([]);
  expect(t.engine.query({ type: 'dead-letters' }).items).toEqual([]);
  const ends = t.engine.query({ type: 'history', run: RUN }).filter(({ body }) => body.kind === 'end');
  expect(ends).toHaveLength(1);
  return detail?.output === null ? null : decoded(new TextEncoder().encode(String(detail?.output)));
}

const STEPS = Array.from({ length: LAST }, (_, i) => i + 1);
const OPTIONS = { numRuns: 15 };
const TIMEOUT = 120_000;

for (const [what, fates] of [
  ['parallel steps that end in the same instant, in any order, some of them answered twice, meet once', fate()],
  [
    'a process that is lost while steps are under way loses none and ends no run twice',
    fate({ restartAt: fc.nat(60) }),
  ],
] as const)
  test(
    what,
    async () => {
      await fc.assert(
        fc.asyncProperty(fates, async (fate) => {
          const race = new Race(fate);
          await race.run();
          expect(JSON.parse(checkEnd(race, 'completed') ?? '')).toEqual(STEPS);
        }),
        OPTIONS,
      );
    },
    TIMEOUT,
  );

test(
  'a route that is deployed anew in the middle goes on with the steps that there are',
  async () => {
    await fc.assert(
      fc.asyncProperty(fate({ deployAt: fc.nat(60) }), async (fate) => {
        const race = new Race(fate);
        await race.run();
        const steps = JSON.parse(checkEnd(race, 'completed') ?? '') as number[];
        // The new version has a step more: done, if that version saw the last step.
        expect([STEPS, [...STEPS, LAST + 1]]).toContainEqual(steps);
        if (fate.deployAt === 0) expect(steps).toContain(LAST + 1);
      }),
      OPTIONS,
    );
  },
  TIMEOUT,
);

test(
  'a run that is cancelled at any moment, its calls out or its steps on their way, stays cancelled',
  async () => {
    let cancelled = 0;
    await fc.assert(
      fc.asyncProperty(fate({ cancelAt: fc.nat(40), restartAt: fc.nat(200) }), async (fate) => {
        const race = new Race(fate);
        await race.run();
        const output = checkEnd(race, race.cancelled ? 'cancelled' : 'completed');
        if (race.cancelled) expect(output).toBeNull();
        if (race.cancelled) cancelled++;
      }),
      OPTIONS,
    );
    expect(cancelled).toBeGreaterThan(2);
  },
  TIMEOUT,
);
