import { describe, expect, it } from 'vitest';
import type { Sql } from '../ports.ts';
import { TestEngine } from './harness.ts';

/** Who goes first and who waits, whatever the SQLite is; used as `engineSuite`. */
export function limitsSuite(open: (body: (sql: Sql) => void) => void | Promise<void>): void {
  const test = (name: string, body: (t: TestEngine) => void): void =>
    it(name, () => open((sql) => body(new TestEngine({ sql }))));

  describe('limits', () => {
    test('never has more calls under way than the limit, and takes the next when one ends', (t) => {
      t.register({ id: 'work', limits: [{ key: 'one', max: 2, hold: 'call' }] });
      for (let i = 0; i < 5; i++) t.start('work', { input: `${i}` });
      const first = t.take();
      expect(first.map((call) => call.input)).toEqual(['0', '1']);
      t.report(first[0]!, { op: 'complete', output: null });
      expect(t.one().input).toBe('2');
      t.restart();
      expect(t.take().map((call) => call.input)).toEqual(['1', '2']);
    });

    test('keeps a FIFO lane in order through retries and restarts', (t) => {
      t.register({ id: 'work', limits: [{ key: 'queue', max: 1, hold: 'run' }] });
      for (let i = 0; i < 3; i++) t.start('work', { input: `${i}` });
      t.report(t.one(), { op: 'fail', error: '1', retry: 'policy' });
      expect(t.take()).toEqual([]);
      t.restart();
      expect(t.take()).toEqual([]);
      t.advance(1000);
      const retried = t.one();
      expect(retried).toMatchObject({ input: '0', attempt: 1 });
      t.report(retried, { op: 'complete', output: null });
      expect(t.one().input).toBe('1');
    });
  });

  describe('several limits', () => {
    const specs = (...keys: string[]) =>
      keys.map((key) => ({ key, max: 1, hold: key.startsWith('R') ? ('run' as const) : ('call' as const) }));

    test('a run that holds its place goes on when the other limit has room again', (t) => {
      t.register({ id: 'both', limits: specs('C', 'R') }, { id: 'other', limits: specs('C') });
      t.start('both', { input: '1' });
      t.start('both', { input: '2' });
      t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 10 });
      t.start('other');
      const other = t.one();
      t.advance(10);
      expect(t.take()).toEqual([]);
      t.report(other, { op: 'complete', output: null });
      expect(t.one().input).toBe('1');
    });

    test('one lane that differs in its other limits stays first in, first out', (t) => {
      t.register({ id: 'work', limits: specs('R') });
      for (const n of [1, 2, 3, 4, 5])
        t.start('work', { input: `${n}`, ...(n % 2 === 0 ? { limits: specs('F') } : {}) });
      const order: unknown[] = [];
      for (let i = 0; i < 5; i++) {
        const call = t.one();
        order.push(call.input);
        t.report(call, { op: 'complete', output: null });
      }
      expect(order).toEqual(['1', '2', '3', '4', '5']);
    });

    test('a shared limit goes to whoever has waited longest', (t) => {
      t.register({ id: 'a', limits: specs('C', 'A') }, { id: 'b', limits: specs('C', 'B') });
      for (const task of ['a', 'a', 'b', 'a', 'a']) {
        t.nowMs += 1;
        t.start(task);
      }
      const order: string[] = [];
      for (let i = 0; i < 5; i++) {
        const call = t.one();
        order.push(call.task.id);
        t.report(call, { op: 'complete', output: null });
      }
      expect(order).toEqual(['a', 'a', 'b', 'a', 'a']);
    });

    test('a key may hold any text', (t) => {
      t.register({
        id: 'work',
        triggers: [{ kind: 'event', pattern: 'go' }],
        limits: [{ key: 'k', expression: 'event.data.u', max: 1, hold: 'call' }],
      });
      const go = (u: string) =>
        t.apply({ type: 'ingest', events: [{ name: 'go', ts: t.nowMs, body: JSON.stringify({ data: { u } }) }] });
      for (const u of ['a\nb', 'a\nb', 'a', 'l:a']) go(u);
      expect(t.take()).toHaveLength(3);
      t.restart();
      expect(t.take()).toHaveLength(3);
    });

    test('a limit of a key is forgotten when nothing uses it, one that was set is kept', (t) => {
      t.register({ id: 'work', limits: [{ key: 'k', expression: 'event.u', max: 1, hold: 'call' }] });
      t.apply({ type: 'set-limit', key: 'set', max: 3 });
      for (let i = 0; i < 5; i++) {
        t.start('work', { input: `{"u":${i}}` });
        t.report(t.one(), { op: 'complete', output: null });
      }
      expect(t.engine.query({ type: 'limits' }).map((limit) => limit.key)).toEqual(['set']);
    });

    test('a pull retry goes before those that wait for its place', (t) => {
      t.register({ id: 'work', mode: 'pull', pool: 'p', limits: specs('R') });
      const lease = () => t.engine.lease({ pool: 'p', max: 5, holdMs: 1000, holder: 'w' });
      t.start('work', { input: '1' });
      t.start('work', { input: '2' });
      const [one] = lease();
      t.report(one!, { op: 'fail', error: '1', retry: 'policy' });
      expect(lease()).toEqual([]);
      t.advance(1000);
      const [again] = lease();
      expect(again).toMatchObject({ input: '1', attempt: 1 });
      t.report(again!, { op: 'complete', output: null });
      expect(lease().map((call) => call.input)).toEqual(['2']);
    });
  });
}
