import { runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import { finished, SDK, useWorker } from './support.ts';

const MINUTE_MS = 60_000;

// What happens between a trigger and a run's first attempt: debounce, reschedule, delay and time to live.
suite({ vendor: 'trigger', name: 'delays', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  const echo = (text: string, options: object): Promise<{ id: string }> =>
    tasks.trigger<typeof project.echo>('echo', { text }, options);

  s.case(['T-35'], 'debounce: further triggers put one run off, which works on the first payload', async (context) => {
    const debounce = { key: context.unique('key'), delay: '10m' };
    const first = await echo('one', { debounce, tags: ['first'] });
    const made = await runs.retrieve(first.id);
    expect.equal(made.status, 'DELAYED');
    await context.clock.advance(6 * MINUTE_MS);
    const second = await echo('two', { debounce, tags: ['second'] });
    expect.equal(second.id, first.id);
    const other = await echo('other', { debounce: { ...debounce, key: context.unique('key') } });
    expect(other.id !== first.id);
    const put = await runs.retrieve(first.id);
    expect.equal(put.status, 'DELAYED');
    expect.equal(put.delayedUntil!.getTime() - made.delayedUntil!.getTime() >= 6 * MINUTE_MS, true);
    await context.clock.advance(9 * MINUTE_MS);
    expect.equal((await runs.retrieve(first.id)).status, 'DELAYED');
    await context.clock.advance(MINUTE_MS + 1_000);
    const run = await finished(first);
    expect.equal(run.status, 'COMPLETED');
    expect.equal((run.output as { text: string }).text, 'one');
    expect.deepEqual(run.tags, ['first']);
    const next = await echo('three', { debounce });
    expect(next.id !== first.id);
    await runs.cancel(next.id);
  });

  s.case(
    ['T-35'],
    'debounce trailing: payload, metadata and tags of the last trigger, the rest of the first',
    async (context) => {
      const debounce = { key: context.unique('key'), delay: '5m', mode: 'trailing' as const };
      const first = await echo('one', { debounce, tags: ['first'], metadata: { a: 1 }, priority: 3, machine: 'micro' });
      const second = await echo('two', { debounce, tags: ['second'], metadata: { b: 2 } });
      const third = await echo('three', { debounce });
      expect.deepEqual([second.id, third.id], [first.id, first.id]);
      const waiting = await runs.retrieve(first.id);
      expect.equal(waiting.status, 'DELAYED');
      expect.deepEqual(waiting.payload, { text: 'three' });
      expect.deepEqual(waiting.metadata, { b: 2 });
      expect.deepEqual(waiting.tags, ['second']);
      await context.clock.advance(5 * MINUTE_MS + 1_000);
      const run = await finished(first);
      expect.equal((run.output as { text: string }).text, 'three');
      expect.deepEqual((run.output as { tags: string[] }).tags, ['second']);
      const listed = await runs.list({ tag: 'second', limit: 5 });
      expect(listed.data.some((item) => item.id === first.id));
    },
  );

  s.case(['T-35'], 'debounce: beyond its greatest delay another run begins', async (context) => {
    const debounce = { key: context.unique('key'), delay: '5m', maxDelay: '8m' };
    const first = await echo('one', { debounce });
    await context.clock.advance(2 * MINUTE_MS);
    expect.equal((await echo('two', { debounce })).id, first.id);
    await context.clock.advance(2 * MINUTE_MS);
    const next = await echo('three', { debounce });
    expect(next.id !== first.id);
    await context.clock.advance(3 * MINUTE_MS + 1_000);
    expect.equal(((await finished(first)).output as { text: string }).text, 'one');
    expect.equal((await runs.retrieve(next.id)).status, 'DELAYED');
    await context.clock.advance(2 * MINUTE_MS);
    expect.equal(((await finished(next)).output as { text: string }).text, 'three');
  });

  s.case(['T-35'], 'debounce: a delay that is none is refused by name', async (context) => {
    await expect.rejects(echo('one', { debounce: { key: context.unique('key'), delay: 'soon' } }), /debounce\.delay/);
    await expect.rejects(
      echo('one', { debounce: { key: context.unique('key'), delay: '5s', maxDelay: '0s' } }),
      /debounce\.maxDelay/,
    );
  });

  s.case(['T-24', 'T-33'], 'reschedule: later, sooner, and not once it is due', async (context) => {
    const handle = await echo('late', { delay: '10m' });
    const later = await runs.reschedule(handle.id, { delay: '1h' });
    expect.equal(later.status, 'DELAYED');
    expect.equal(later.delayedUntil!.getTime() - later.createdAt.getTime() >= 59 * MINUTE_MS, true);
    await context.clock.advance(20 * MINUTE_MS);
    expect.equal((await runs.retrieve(handle.id)).status, 'DELAYED');
    const sooner = await runs.reschedule(handle.id, { delay: '2s' });
    expect.equal(sooner.status, 'DELAYED');
    await context.clock.advance(3_000);
    expect.equal((await finished(handle)).status, 'COMPLETED');
    await expect.rejects(runs.reschedule(handle.id, { delay: '1h' }), /not delayed/);
    await expect.rejects(runs.reschedule('run_00000000000000000000000000', { delay: '1h' }), /not found/);
  });

  s.case(
    ['T-24', 'T-33', 'T-34'],
    'the time to live counts from the time that the run was put off to',
    async (context) => {
      const handle = await echo('late', { delay: '10m', ttl: '5m' });
      const moved = await runs.reschedule(handle.id, { delay: '30m' });
      expect.equal(moved.ttl, '5m');
      await context.clock.advance(20 * MINUTE_MS);
      expect.equal((await runs.retrieve(handle.id)).status, 'DELAYED');
      await context.clock.advance(10 * MINUTE_MS + 1_000);
      expect.equal((await finished(handle)).status, 'COMPLETED');
    },
  );
});
