import { expect, test } from 'vitest';
import { LocalServer } from './testing/local-server.ts';

const APP = 'http://app.test/api/inngest';
const step = (id: string, more: object = {}): object => ({ op: 'StepRun', id, data: 1, ...more });
const plan = (id: string, more: object = {}): object => ({ op: 'StepPlanned', id, ...more });
const OPTS = { event: 'x', timeout: '1s', signal: 's', function_id: 'app-nobody', url: 'http://x.test', fn_slug: 'x' };
const TARGETED = ['StepPlanned', 'Sleep', 'WaitForEvent', 'InvokeFunction', 'WaitForSignal', 'Gateway', 'DeferAdd'];

/** What an app answers in turn before it comes to its senses. None of the last answers is anything that the run could go on by. */
const CASES: Record<string, unknown[][]> = {
  'plans a step that was done': [[step('a')], [plan('a')]],
  'plans it with an input': [[step('a')], [plan('a', { opts: { input: [1] } })]],
  'plans two that were done': [
    [step('a'), step('b')],
    [plan('a'), plan('b')],
  ],
  'sleeps under the name of a step that was done': [[step('a')], [{ op: 'Sleep', id: 'a', name: '1s' }]],
  'invokes under that name': [[step('a')], [{ op: 'InvokeFunction', id: 'a', opts: OPTS }]],
  'fetches under that name': [[step('a')], [{ op: 'Gateway', id: 'a', opts: OPTS }]],
  'does a step again': [[step('a')], [step('a')]],
  'does it again with an input': [[step('a')], [step('a', { opts: { input: [1] } })]],
  'fails a step that was done': [[step('a')], [{ op: 'StepFailed', id: 'a', error: { message: 'm' } }]],
  'does it again and defers': [[step('a')], [{ op: 'DeferAdd', id: 'd', opts: OPTS }, step('a')]],
  'defers and says no more': [[{ op: 'DeferAdd', id: 'd', opts: OPTS }]],
  ...Object.fromEntries(
    [...TARGETED, 'DiscoveryRequest', 'None'].map((op) => [
      `answers ${op} for a step that it was asked for`,
      [
        [plan('a'), plan('b')],
        [{ op, id: 'a', name: '1s', opts: OPTS }],
        [{ op, id: 'b', name: '1s', opts: { ...OPTS, signal: 't' } }],
      ],
    ]),
  ),
};

for (const [name, answers] of Object.entries(CASES))
  test(`an app that ${name} is asked again, and its run ends`, async () => {
    const server = new LocalServer();
    await server.register(APP, 'go');
    const left = [...answers];
    server.app = () => {
      const next = left.shift() ?? 'end';
      return Promise.resolve(
        new Response(JSON.stringify(next), {
          status: Array.isArray(next) ? 206 : 200,
          headers: { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' },
        }),
      );
    };
    const sent = await server.routes.request('/e/key', { method: 'POST', body: '{"name":"go","data":{}}' });
    const { ids } = (await sent.json()) as { ids: string[] };
    await server.advance(3_600_000);
    const [run] = await server.runsOf(ids[0] as string);
    expect([run?.status, run?.output]).toEqual(['Completed', 'end']);
  });
