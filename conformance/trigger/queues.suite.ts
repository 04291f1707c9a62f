import { concurrencyLimits, queues, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as limits from './project/src/trigger/limits.ts';
import { call, finished, SDK, seen, useWorker } from './support.ts';
import type { Worker } from './worker.ts';

const PAIR = { type: 'custom', name: 'teams/pair' } as const;

interface Span {
  from: number;
  to: number;
}

suite({ vendor: 'trigger', name: 'queues', sdk: SDK }, (s) => {
  let worker: Worker;

  s.beforeAll(async (context) => {
    worker = await useWorker(context);
  });

  const start = (n: number): Promise<Array<{ id: string }>> =>
    Promise.all(Array.from({ length: n }, () => tasks.trigger<typeof project.inPairs>('in-pairs', { ms: 50 })));
  const allEnded = async (handles: Array<{ id: string }>): Promise<Span[]> =>
    (await Promise.all(handles.map(finished))).map((run) => run.output as Span);

  s.case(['T-37', 'T-40'], 'queues of the code are listed and found by name, type and id', async () => {
    const all = [];
    for await (const queue of queues.list({ perPage: 3 })) all.push(queue);
    const pair = all.find(({ name }) => name === PAIR.name);
    expect.ok(pair && pair.type === 'custom' && pair.concurrencyLimit === 2 && !pair.paused);
    expect.ok(all.some(({ name, type }) => name === 'echo' && type === 'task'));
    // A slash in a name is escaped twice on its way.
    expect.deepEqual(await queues.retrieve(PAIR), pair);
    expect.deepEqual(await queues.retrieve(pair.id), pair);
    expect.equal((await queues.retrieve({ type: 'task', name: 'echo' })).concurrencyLimit, null);
    await expect.rejects(queues.retrieve({ type: 'custom', name: 'nothing' }), { status: 404 });
  });

  s.case(
    ['T-41', 'T-40'],
    'a paused queue starts nothing and counts what waits; resumed, it goes on',
    async (context) => {
      expect.equal((await queues.pause(PAIR)).paused, true);
      const handles = await start(3);
      await context.clock.idle();
      const paused = await queues.retrieve(PAIR);
      expect.deepEqual([paused.queued, paused.running, paused.paused], [3, 0, true]);
      for (const { id } of handles) expect.equal((await runs.retrieve(id)).status, 'QUEUED');
      expect.equal((await queues.resume(PAIR)).paused, false);
      expect.equal((await allEnded(handles)).length, 3);
      const idle = await queues.retrieve(PAIR);
      expect.deepEqual([idle.queued, idle.running], [0, 0]);
    },
  );

  s.case(['T-42', 'T-38'], "a queue's limit is overridden at run time and reset", async (context) => {
    const overridden = await queues.overrideConcurrencyLimit(PAIR, 0);
    expect.equal(overridden.concurrencyLimit, 0);
    expect.ok(overridden.version === 'V1' && overridden.concurrency?.overriddenAt instanceof Date);
    const handles = await start(2);
    await context.clock.idle();
    expect.equal((await queues.retrieve(PAIR)).queued, 2);
    await queues.overrideConcurrencyLimit(PAIR, 1);
    const spans = (await allEnded(handles)).sort((a, b) => a.from - b.from);
    expect.ok((spans[1]?.from ?? 0) >= (spans[0]?.to ?? Infinity), 'one after the other');
    const reset = await queues.resetConcurrencyLimit(PAIR);
    expect.ok(reset.version === 'V1');
    expect.deepEqual([reset.concurrencyLimit, reset.concurrency?.override, reset.concurrency?.base], [2, null, 2]);
    await expect.rejects(queues.resetConcurrencyLimit(PAIR), { status: 400 });
  });

  s.case(['T-43'], 'a named limit is shared, listed, overridden, paused and reset', async (context) => {
    const before = await concurrencyLimits.retrieve('single');
    expect.deepEqual([before.total.current, before.perKey.current, before.running, before.paused], [1, null, 0, false]);
    const handles = await Promise.all([
      tasks.trigger<typeof limits.limitedByName>('limited-by-name', { ms: 100 }),
      tasks.trigger<typeof limits.limitedByName>('limited-by-name', { ms: 100 }),
      tasks.trigger<typeof project.inPairs>('in-pairs', { ms: 100 }, { concurrency: ['single'] } as never),
    ]);
    const spans = (await allEnded(handles)).sort((a, b) => a.from - b.from);
    for (let i = 1; i < spans.length; i++)
      expect.ok((spans[i]?.from ?? 0) >= (spans[i - 1]?.to ?? Infinity), `run ${i} overlaps the one before`);
    expect.equal((await concurrencyLimits.override('single', { total: 5 })).total.current, 5);
    expect.equal((await concurrencyLimits.pause('single')).paused, true);
    const held = await tasks.trigger<typeof limits.limitedByName>('limited-by-name', { ms: 1 });
    await context.clock.idle();
    expect.equal((await concurrencyLimits.retrieve('single')).queued, 1);
    expect.equal((await concurrencyLimits.resume('single')).paused, false);
    await finished(held);
    const reset = await concurrencyLimits.reset('single');
    expect.deepEqual([reset.total.current, reset.total.override], [1, null]);
    const names = [];
    for await (const limit of concurrencyLimits.list()) names.push(limit.name);
    expect.ok(names.includes('single'));
  });

  s.case(['T-43'], 'a named limit is overridden for one concurrency key, for a time, and reset', async (context) => {
    const of = { concurrencyKey: context.unique('tenant') };
    const trigger = (options: object) =>
      tasks.trigger<typeof limits.limitedByName>('limited-by-name', { ms: 1 }, options);
    const before = await concurrencyLimits.retrieve('single');
    await expect.rejects(concurrencyLimits.reset('single', of), { status: 400 });
    const set = await concurrencyLimits.override('single', { ...of, perKey: 0, ttl: '1h' });
    expect.deepEqual(
      [set.name, set.concurrencyKey, set.perKey.current, set.perKey.override],
      ['single', of.concurrencyKey, 0, 0],
    );
    const hour = (set.perKey.expiresAt?.getTime() ?? 0) - Date.now();
    expect(hour > 3_500_000 && hour <= 3_601_000, `${hour}`);
    const held = await trigger(of);
    // Others are not held up, and the limit itself is as it was.
    await finished(await trigger({}));
    await finished(await trigger({ concurrencyKey: context.unique('another') }));
    expect.equal((await runs.retrieve(held.id)).status, 'QUEUED');
    expect.deepEqual((await concurrencyLimits.retrieve('single')).perKey, before.perKey);
    expect.equal((await concurrencyLimits.retrieve('single', of)).running, 0);
    expect.equal((await concurrencyLimits.reset('single', of)).perKey.override, null);
    await finished(held);
    for (const body of [
      { ttl: '1h', total: 2 },
      { ...of, total: 2 },
      { ...of, perKey: 1, ttl: '31d' },
    ])
      await expect.rejects(concurrencyLimits.override('single', body as never), { status: 400 });
  });

  s.case(['T-44', 'T-38'], 'the environment is paused and bounded as a whole', async (context) => {
    const at = `/api/v1/projects/${worker.project}/dev`;
    const post = async (what: string, body: object): Promise<unknown> => {
      const response = await call(context, 'POST', `${at}/${what}`, { body: JSON.stringify(body) });
      expect.equal(response.status, 200);
      return response.json();
    };
    await post('pause', { action: 'pause' });
    const handles = await start(2);
    await context.clock.idle();
    for (const { id } of handles) expect.equal((await runs.retrieve(id)).status, 'QUEUED');
    await post('concurrency', { concurrencyLimit: 1 });
    await post('pause', { action: 'resume' });
    const spans = (await allEnded(handles)).sort((a, b) => a.from - b.from);
    expect.ok((spans[1]?.from ?? 0) >= (spans[0]?.to ?? Infinity), 'one after the other');
    expect.deepEqual(await post('concurrency', { concurrencyLimit: null }), {
      running: 0,
      queued: 0,
      concurrencyLimit: null,
      paused: false,
    });
    const after = await start(1);
    await seen(context, after[0]?.id ?? '', 'the run to end', (run) => run.status === 'COMPLETED');
  });
});
