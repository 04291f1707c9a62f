import { describe, expect, it } from 'vitest';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

function open(mode: 'push' | 'pull' = 'push'): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work', mode, pool: 'p' });
  return t;
}

const lease = (t: TestEngine, pool = 'p') => t.engine.lease({ pool, max: 1, holdMs: 1000, holder: 'w' })[0];

describe('a run that has not begun', () => {
  it.each(['push', 'pull'] as const)('can be put off, and brought forward (%s)', (mode) => {
    const t = open(mode);
    const next = () => (mode === 'pull' ? lease(t) : t.take()[0]);
    const run = t.start('work', { dueAt: t.nowMs + 1000 });
    expect(t.apply({ type: 'amend', run, change: { dueAt: t.nowMs + 5000 } }).result).toBe('amended');
    t.restart();
    t.advance(4999);
    expect(next()).toBeUndefined();
    expect(t.apply({ type: 'amend', run, change: { dueAt: t.nowMs }, when: 'delayed' }).result).toBe('amended');
    expect(next()?.run).toBe(run);
    expect(t.apply({ type: 'amend', run, change: { dueAt: t.nowMs + 1 } }).result).toBe('begun');
  });

  it('can be given another input, meta, labels and attempts, which lists show too', () => {
    const t = open();
    const run = t.start('work', { dueAt: t.nowMs + 1000, input: '1', meta: '{"a":1}', labels: ['x', 'y'] });
    t.apply({ type: 'amend', run, change: { input: '2', meta: '{"a":2}', labels: ['y', 'z'], maxAttempts: 9 } });
    const listed = () => t.engine.query({ type: 'runs', label: 'z' }).items;
    expect(listed()).toMatchObject([{ id: run, input: '2', meta: '{"a":2}', labels: ['y', 'z'] }]);
    expect(t.engine.query({ type: 'runs', label: 'x' }).items).toEqual([]);
    t.restart();
    t.advance(1000);
    const call = t.one();
    expect(call).toMatchObject({ input: '2', meta: '{"a":2}', labels: ['y', 'z'], maxAttempts: 9 });
    t.report(call, { op: 'complete', output: null });
    expect(listed()).toMatchObject([{ id: run, input: '2', meta: '{"a":2}', labels: ['y', 'z'], status: 'completed' }]);
  });

  it('can be given a large input in place of another, and nothing of either is left after its time', () => {
    const t = open();
    const run = t.start('work', { dueAt: t.nowMs + 1000, input: JSON.stringify('a'.repeat(700_000)) });
    t.apply({ type: 'amend', run, change: { input: JSON.stringify('b'.repeat(400_000)) } });
    t.advance(1000);
    const call = t.one();
    expect(call.input).toBe(JSON.stringify('b'.repeat(400_000)));
    t.report(call, { op: 'complete', output: null });
    expect(t.engine.query({ type: 'run', run })?.input).toBe(JSON.stringify('b'.repeat(400_000)));
    t.advance(32 * 86_400_000);
    expect(t.sql.all(`SELECT DISTINCT owner FROM chunks`)).toEqual([]);
    expect(t.engine.query({ type: 'run', run })).toBeNull();
  });

  it('belongs to the events that it is given', () => {
    const t = open();
    t.apply({
      type: 'ingest',
      events: ['a', 'b'].map((id) => ({ id, name: 'e', ts: t.nowMs, body: `{"n":"${id}"}` })),
    });
    const run = t.start('work', { dueAt: t.nowMs + 1000, eventIds: ['a'] });
    t.apply({ type: 'amend', run, change: { events: ['b'] } });
    expect(t.engine.query({ type: 'event', id: 'a' })?.runs).toEqual([]);
    expect(t.engine.query({ type: 'event', id: 'b' })?.runs).toEqual([run]);
    t.advance(1000);
    expect(t.one().events.map((event) => event.id)).toEqual(['b']);
  });

  it('can be put under another limit while it waits for one', () => {
    const t = open();
    const limit = (key: string) => [{ key, max: 1, hold: 'run' as const }];
    t.start('work', { limits: limit('a') });
    const run = t.start('work', { limits: limit('a') });
    expect(t.take()).toHaveLength(1);
    t.apply({ type: 'amend', run, change: { limits: limit('b') } });
    expect(t.one().run).toBe(run);
    expect(t.engine.query({ type: 'limits' }).map((one) => [one.key, one.held])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('can be moved before others that wait for the same room', () => {
    const t = open();
    const limits = [{ key: 'a', max: 1, hold: 'run' as const }];
    t.start('work', { limits });
    t.start('work', { limits });
    const run = t.start('work', { limits });
    t.apply({ type: 'amend', run, change: { priorityMs: 1000 } });
    t.report(t.one(), { op: 'complete', output: null });
    expect(t.one().run).toBe(run);
  });

  it('has a deadline that can be moved with it', () => {
    const t = open('pull');
    const run = t.start('work', { dueAt: t.nowMs + 1000, expireAt: t.nowMs + 2000 });
    t.apply({ type: 'amend', run, change: { dueAt: t.nowMs + 3000, expireAt: t.nowMs + 4000 } });
    t.advance(3999);
    expect(t.status(run)).toBe('running');
    t.advance(1);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', reason: 'expired' });
  });

  it('is only moved while delayed, where that is asked', () => {
    const t = open('pull');
    const run = t.start('work');
    expect(t.apply({ type: 'amend', run, change: { dueAt: t.nowMs + 1 }, when: 'delayed' }).result).toBe('due');
    expect(lease(t)?.run).toBe(run);
    expect(t.apply({ type: 'amend', run: 'nobody', change: {} }).result).toBe('unknown');
    t.apply({ type: 'cancel', run });
    expect(t.apply({ type: 'amend', run, change: {} }).result).toBe('ended');
  });
});

describe('a priority', () => {
  const limits = [{ key: 'one', max: 1, hold: 'call' as const }];

  it('of the task orders what waits for room, and holds for all calls of a run', () => {
    const t = new TestEngine({ sql: new NodeSql() });
    t.register({ id: 'work', limits, priority: { expression: 'event.p', unitMs: 1000, maxMs: 60_000 } });
    const start = (p: unknown) => {
      t.advance(1);
      return t.start('work', { input: JSON.stringify({ p }) });
    };
    start(0);
    const [low, none, high] = [start(-1), start('x'), start(5)];
    const far = start(1e9);
    const order: string[] = [];
    const first = t.one();
    t.report(first, { op: 'complete', output: null });
    for (let i = 0; i < 4; i++) {
      const call = t.one();
      order.push(call.run);
      t.report(call, { op: 'complete', output: null });
    }
    expect(order).toEqual([far, high, none, low]);
  });

  it('counts for the calls that a run asks for later too', () => {
    const t = new TestEngine({ sql: new NodeSql() });
    t.register({ id: 'work', limits });
    t.start('work');
    t.advance(1);
    const plain = t.start('work');
    t.advance(1);
    const urgent = t.start('work', { priorityMs: 1000 });
    t.report(t.one(), { op: 'complete', output: null });
    const call = t.one();
    expect(call.run).toBe(urgent);
    t.report(call, { op: 'step', key: 'a', data: '1', again: 'each' });
    expect(t.one()).toMatchObject({ run: urgent });
    expect(t.status(plain)).toBe('running');
  });
});
