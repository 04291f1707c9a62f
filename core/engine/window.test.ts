import { describe, expect, it } from 'vitest';
import type { Admission } from '../model/task.ts';
import { open, send, end, record, dataOf } from '../testing/admitted.ts';

describe('a debounce', () => {
  const last: Admission = {
    kind: 'debounce',
    key: 'd',
    expression: 'event.data.k',
    delayMs: 1000,
    maxDelayMs: 2500,
    atMax: 'hold',
    keep: 'last',
  };

  it('waits until nothing has come for its delay, and works on the last event', () => {
    const t = open([last]);
    const [first] = send(t, { k: 1, n: 1 });
    expect(record(t, first!.run)).toMatchObject({ open: true, startDueAt: t.nowMs + 1000 });
    t.advance(900);
    const [second] = send(t, { k: 1, n: 2 });
    expect(second!.run).toBe(first!.run);
    t.advance(999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    const call = t.one();
    expect(dataOf(call)).toEqual([{ k: 1, n: 2 }]);
    expect(record(t, call.run)).toMatchObject({ open: false, eventIds: [call.events[0]!.id] });
    end(t, call);
    expect(record(t, call.run)).toMatchObject({ open: false, eventIds: [call.events[0]!.id], status: 'completed' });
    const [next] = send(t, { k: 1, n: 3 });
    expect(next!.run).not.toBe(first!.run);
  });

  it('goes on through a restart as it was', () => {
    const t = open([last]);
    send(t, { k: 1, n: 1 });
    t.advance(500);
    send(t, { k: 1, n: 2 });
    t.restart();
    t.advance(500);
    send(t, { k: 1, n: 3 });
    t.restart();
    t.advance(999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(dataOf(t.one())).toEqual([{ k: 1, n: 3 }]);
  });

  it('waits no longer than its greatest delay', () => {
    const t = open([last]);
    for (let n = 0; n < 4; n++) {
      send(t, { k: 1, n });
      t.advance(n === 3 ? 99 : 800);
    }
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(dataOf(t.one())).toEqual([{ k: 1, n: 3 }]);
  });

  it('ignores an event that is older than the one it has', () => {
    const t = open([last]);
    send(t, { k: 1, n: 1 });
    send(t, { k: 1, n: 0 }, { ts: t.nowMs - 10 });
    t.advance(1000);
    expect(dataOf(t.one())).toEqual([{ k: 1, n: 1 }]);
  });

  it('keeps keys apart, and belongs to the event it ends up with', () => {
    const t = open([last]);
    const [a] = send(t, { k: 1 });
    const dropped = t.engine.query({ type: 'events' }).items[0]!;
    send(t, { k: 2 });
    send(t, { k: 1 });
    t.advance(1000);
    expect(t.take()).toHaveLength(2);
    expect(t.engine.query({ type: 'event', id: dropped.id })?.runs).toEqual([]);
    const kept = record(t, a!.run)!.eventIds[0]!;
    expect(t.engine.query({ type: 'event-runs', event: kept }).map((run) => run.id)).toEqual([a!.run]);
  });

  it('that keeps the first only puts it off; beyond its greatest delay another begins', () => {
    const first: Admission = {
      kind: 'debounce',
      key: 'd',
      delayMs: 1000,
      maxDelayMs: 2000,
      atMax: 'renew',
      keep: 'first',
    };
    const t = open([], {});
    const start = (n: number) =>
      t.apply({ type: 'start', spec: { task: 'work', input: `${n}`, admit: [first], expireAt: t.nowMs + 1500 } });
    const one = start(1);
    t.advance(800);
    expect(start(2)).toMatchObject({ run: one.run, outcome: 'joined' });
    t.advance(800);
    const three = start(3);
    expect(three).toMatchObject({ outcome: 'started' });
    t.advance(200);
    expect(t.one()).toMatchObject({ run: one.run, input: '1' });
    t.advance(800);
    expect(t.one()).toMatchObject({ run: three.run, input: '3' });
  });

  it('that has a time for the first is due then, and later only by what comes close to it', () => {
    const t = open([]);
    const firstDueAt = t.nowMs + 5000;
    const rule: Admission = { kind: 'debounce', key: 'd', delayMs: 1000, firstDueAt, atMax: 'renew', keep: 'first' };
    const start = () => t.apply({ type: 'start', spec: { task: 'work', input: '1', admit: [rule] } });
    const { run } = start();
    t.advance(3000);
    expect(start()).toMatchObject({ run, outcome: 'joined' });
    expect(record(t, run)).toMatchObject({ startDueAt: firstDueAt });
    t.advance(1500);
    start();
    expect(record(t, run)).toMatchObject({ startDueAt: t.nowMs + 1000 });
    t.advance(999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(t.one().run).toBe(run);
  });

  it('takes of a later meta what it is told to', () => {
    const t = open([]);
    const start = (meta: string, patch: string) =>
      t.start('work', {
        meta,
        admit: [{ kind: 'debounce', key: 'd', delayMs: 1000, atMax: 'hold', keep: 'last', patch }],
      });
    const run = start('{"a":1,"b":1}', '{}');
    expect(start('{"a":2,"b":2}', '{"b":2}')).toBe(run);
    expect(record(t, run)?.meta).toBe('{"a":1,"b":2}');
  });

  it('takes of later labels those of the kind that it is told, where there are any', () => {
    const t = open([]);
    const start = (...labels: string[]) =>
      t.start('work', {
        ...(labels.length === 0 ? {} : { labels }),
        admit: [{ kind: 'debounce', key: 'd', delayMs: 1000, atMax: 'hold', keep: 'last', labelPrefix: 'tag/' }],
      });
    const labels = (): string[] | undefined => record(t, run)?.labels;
    const run = start('tag/a', 'batch/1');
    start('batch/2');
    expect(labels()).toEqual(['tag/a', 'batch/1']);
    start('tag/b', 'tag/c', 'batch/3');
    expect(labels()).toEqual(['tag/b', 'tag/c', 'batch/1']);
    start();
    expect(labels()).toEqual(['tag/b', 'tag/c', 'batch/1']);
    expect(t.engine.query({ type: 'label-count', label: 'tag/a' })).toBe(0);
    expect(t.engine.query({ type: 'label-count', label: 'tag/c' })).toBe(1);
  });

  it('decides with its last event what depends on it', () => {
    const t = open([last, { kind: 'single', key: 's', expression: 'event.data.s', taken: 'skip' }], {
      limits: [{ key: 'l', max: 1, hold: 'call', expression: 'event.data.n' }],
      guards: { cancelOn: [{ name: 'stop', expression: 'async.data.n == event.data.n' }] },
    });
    const [run] = send(t, { k: 1, n: 1, s: 'x' });
    send(t, { k: 1, n: 2, s: 'y' });
    t.apply({ type: 'ingest', events: [{ name: 'stop', ts: t.nowMs, body: '{"data":{"n":2}}' }] });
    t.advance(1000);
    t.one();
    expect(t.engine.query({ type: 'limit', key: 'l', subs: true }).subs).toMatchObject([{ sub: '2' }]);
    send(t, { k: 2, n: 3, s: 'y' });
    t.advance(1000);
    expect(t.take()).toEqual([]);
    t.apply({ type: 'ingest', events: [{ name: 'stop', ts: t.nowMs, body: '{"data":{"n":1}}' }] });
    expect(t.status(run!.run)).toBe('running');
    t.apply({ type: 'ingest', events: [{ name: 'stop', ts: t.nowMs, body: '{"data":{"n":2}}' }] });
    expect(t.status(run!.run)).toBe('cancelled');
  });

  it('lets all its starters wait for the one run', () => {
    const t = open([]);
    t.register(
      { id: 'work', admit: [{ kind: 'debounce', key: 'd', delayMs: 1000, atMax: 'hold', keep: 'last' }] },
      { id: 'parent' },
    );
    const parents = [t.start('parent'), t.start('parent')];
    for (const [i, call] of t.take().entries())
      t.report(call, { op: 'wait-run', key: 'w', start: { task: 'work', input: `${i}` } });
    t.advance(1000);
    const call = t.one();
    expect(call.input).toBe('1');
    end(t, call);
    expect(t.take().map((one) => [one.run, one.steps[0]?.data])).toEqual(parents.map((run) => [run, '"done"']));
  });

  it('of the same event again puts it off, and after its end nothing', () => {
    const t = open([last]);
    send(t, { k: 1 }, { dedupeId: 'same' });
    t.advance(500);
    send(t, { k: 1 }, { dedupeId: 'same' });
    t.advance(500);
    expect(t.take()).toEqual([]);
    t.advance(500);
    t.one();
    expect(send(t, { k: 1 }, { dedupeId: 'same' })).toEqual([]);
  });

  it('that is cancelled frees its key', () => {
    const t = open([last]);
    const [run] = send(t, { k: 1 });
    t.apply({ type: 'cancel', run: run!.run });
    const [next] = send(t, { k: 1 });
    expect(next!.run).not.toBe(run!.run);
    t.advance(1000);
    expect(t.one().run).toBe(next!.run);
  });
});

describe('a batch', () => {
  const batch: Admission = {
    kind: 'batch',
    key: 'b',
    expression: 'event.data.k',
    size: 3,
    waitMs: 1000,
    maxBytes: 10_000,
  };

  it('goes when it is full, with its events in order', () => {
    const t = open([batch]);
    const [first] = send(t, { k: 1, n: 1 });
    send(t, { k: 1, n: 2 });
    send(t, { k: 2, n: 9 });
    expect(t.take()).toEqual([]);
    expect(record(t, first!.run)).toMatchObject({ open: true });
    send(t, { k: 1, n: 3 });
    const call = t.one();
    expect(call.run).toBe(first!.run);
    expect(dataOf(call)).toEqual([
      { k: 1, n: 1 },
      { k: 1, n: 2 },
      { k: 1, n: 3 },
    ]);
    for (const event of call.events)
      expect(t.engine.query({ type: 'event-runs', event: event.id }).map((run) => run.id)).toEqual([call.run]);
    const [next] = send(t, { k: 1, n: 4 });
    expect(next!.run).not.toBe(first!.run);
  });

  it('goes when the time since its first event is over, also after a restart', () => {
    const t = open([batch]);
    send(t, { k: 1, n: 1 });
    t.advance(900);
    t.restart();
    send(t, { k: 1, n: 2 });
    t.advance(99);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(dataOf(t.one())).toHaveLength(2);
  });

  it('goes when its events are large', () => {
    const t = open([{ ...batch, maxBytes: 200 }]);
    send(t, { k: 1, pad: 'x'.repeat(60) });
    expect(t.take()).toEqual([]);
    send(t, { k: 1, pad: 'x'.repeat(60) });
    expect(dataOf(t.one())).toHaveLength(2);
    send(t, { k: 1, pad: 'x'.repeat(300) });
    expect(dataOf(t.one())).toHaveLength(1);
  });

  it('takes all events of one request, in as many runs as they fill', () => {
    const t = open([batch]);
    const events = Array.from({ length: 7 }, (_, n) => ({
      name: 'e',
      ts: t.nowMs,
      body: JSON.stringify({ name: 'e', data: { k: 1, n } }),
    }));
    t.apply({ type: 'ingest', events });
    t.advance(1000);
    expect(t.take().map((call) => dataOf(call).length)).toEqual([3, 3, 1]);
  });

  it('leaves alone what its condition leaves out, and a schedule', () => {
    const t = open([{ ...batch, onlyIf: 'event.data.k > 1' }]);
    send(t, { k: 1 });
    expect(dataOf(t.one())).toEqual([{ k: 1 }]);
    send(t, { k: 2 });
    expect(t.take()).toEqual([]);
    t.start('work', { scheduledAt: t.nowMs });
    expect(t.one().events).toEqual([]);
  });

  it('takes the input of a start as an event', () => {
    const t = open([{ ...batch, size: 2 }]);
    t.register(
      { id: 'work', admit: [{ ...batch, size: 2 }], triggers: [{ kind: 'event', pattern: 'e' }] },
      { id: 'parent' },
    );
    t.start('parent');
    t.report(t.one(), {
      op: 'wait-run',
      key: 'w',
      start: { task: 'work', input: '{"name":"in","data":{"k":1,"n":"in"}}' },
    });
    send(t, { k: 1, n: 2 });
    const call = t.one();
    expect(dataOf(call)).toEqual([
      { k: 1, n: 'in' },
      { k: 1, n: 2 },
    ]);
    expect(call.input).toBeNull();
    end(t, call);
    expect(t.one().steps).toMatchObject([{ key: 'w', data: '"done"' }]);
  });

  it('takes a start once, however often it is asked for', () => {
    const t = open([{ ...batch, size: 3 }]);
    const spec = (n: number) => ({ id: t.engine.kernel.ids.next(t.nowMs), input: `{"data":{"k":1,"n":${n}}}` });
    const [one, two] = [spec(1), spec(2)];
    const run = t.start('work', one);
    expect([t.start('work', two), t.start('work', two), t.start('work', one)]).toEqual([run, run, run]);
    t.advance(1000);
    expect(dataOf(t.one())).toHaveLength(2);
  });

  it('takes an event that a start names', () => {
    const t = open([{ ...batch, size: 2 }]);
    t.apply({ type: 'ingest', events: [{ id: 'in', name: 'in', ts: t.nowMs, body: '{"data":{"k":1,"n":"in"}}' }] });
    send(t, { k: 1, n: 1 });
    const run = t.start('work', { eventIds: ['in'] });
    const call = t.one();
    expect(call.run).toBe(run);
    expect(dataOf(call)).toEqual([
      { k: 1, n: 1 },
      { k: 1, n: 'in' },
    ]);
    expect(t.engine.query({ type: 'event', id: 'in' })?.runs).toEqual([run]);
  });

  it('of a worker is leased when it is full, and not before', () => {
    const t = open([{ ...batch, size: 2 }], { mode: 'pull', pool: 'p' });
    send(t, { k: 1 });
    expect(t.engine.lease({ pool: 'p', max: 1, holdMs: 1000, holder: 'w' })).toEqual([]);
    send(t, { k: 1 });
    expect(t.engine.lease({ pool: 'p', max: 1, holdMs: 1000, holder: 'w' })[0]?.events).toHaveLength(2);
  });

  it('writes two rows for an event that joins it', () => {
    const t = open([{ ...batch, size: 100 }]);
    send(t, { k: 1 });
    const before = t.sql.rowsWritten();
    send(t, { k: 1 });
    expect(t.sql.rowsWritten() - before).toBeLessThanOrEqual(2);
  });
});
