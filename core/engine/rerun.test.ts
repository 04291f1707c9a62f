import { describe, expect, it } from 'vitest';
import type { LeasedCall } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const step = (key: string) => ({ op: 'step' as const, key, data: `"${key}"`, again: 'each' as const });

function open(): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'go' }], maxAttempts: 1 });
  return t;
}

/** Steps a, b, c, then a failure. */
function failed(t: TestEngine): string {
  t.apply({ type: 'ingest', events: [{ name: 'go', ts: t.nowMs, body: '{"name":"go"}' }] });
  let call = t.one();
  for (const key of ['a', 'b', 'c']) {
    t.report(call, step(key));
    call = t.one();
  }
  t.report(call, { op: 'fail', error: '"broken"', retry: 'never' });
  return call.run;
}

const keys = (call: LeasedCall): string[] => call.steps.map((one) => one.key);

describe('a run started from another', () => {
  it('has the same event and no steps when it is started from the start', () => {
    const t = open();
    const first = failed(t);
    const { run } = t.apply({ type: 'rerun', run: first, from: 'start' });
    const call = t.one();
    expect(call).toMatchObject({ run, attempt: 0, steps: [], events: [{ name: 'go' }] });
    expect(t.engine.query({ type: 'run', run })?.from).toEqual({ run: first, seq: 0 });
    expect(t.engine.query({ type: 'event-runs', event: call.events[0]?.id ?? '' }).map((one) => one.id)).toEqual([
      first,
      run,
    ]);
  });

  it('has the steps before the one from which it goes on, and asks for that one again', () => {
    const t = open();
    const first = failed(t);
    t.apply({ type: 'rerun', run: first, from: { key: 'b' } });
    const call = t.one();
    expect(keys(call)).toEqual(['a']);
    t.report(call, step('b'));
    expect(keys(t.one())).toEqual(['a', 'b']);
  });

  it('keeps what it was told of the prefix over a restart', () => {
    const t = open();
    const { run } = t.apply({ type: 'rerun', run: failed(t), from: { key: 'c' } });
    t.restart();
    expect(keys(t.one())).toEqual(['a', 'b']);
    expect(t.engine.kernel.runs.load(run)?.head.from).toMatchObject({ seq: 2 });
  });

  it('leaves out the steps that are to be done again', () => {
    const t = open();
    t.apply({ type: 'rerun', run: failed(t), from: { key: 'c' }, reopen: ['a'] });
    expect(keys(t.one())).toEqual(['b']);
  });

  it('calls again what was planned at that position, and follows its group once', () => {
    const t = open();
    const run = t.start('work');
    t.report(t.one(), {
      op: 'plan',
      calls: [
        { key: 'x', again: 'last', data: 'of x' },
        { key: 'y', again: 'last' },
      ],
    });
    const [x, y] = t.take();
    t.report(x as LeasedCall, { ...step('x'), again: undefined as never });
    t.report(y as LeasedCall, { op: 'fail', error: '"y"', retry: 'never' });
    expect(t.status(run)).toBe('failed');
    t.apply({ type: 'rerun', run, from: { key: 'x' } });
    const [again, other] = t.take();
    expect([again?.key, again?.callData, other?.key]).toEqual(['x', 'of x', 'y']);
    t.report(again as LeasedCall, { ...step('x'), again: undefined as never });
    expect(t.take()).toEqual([]);
    t.report(other as LeasedCall, { ...step('y'), again: undefined as never });
    expect(keys(t.one())).toEqual(['x', 'y']);
  });

  it('waits as long as was left, and not at all for the step it goes on from', () => {
    const t = open();
    const run = t.start('work');
    t.report(
      t.one(),
      { op: 'sleep', key: 's', untilMs: t.nowMs + 10_000, again: 'each' },
      { op: 'sleep', key: 'r', untilMs: t.nowMs + 500, again: 'none' },
    );
    t.advance(10_000);
    t.report(t.one(), { op: 'complete', output: null });
    t.advance(60_000);
    const sleeping = t.apply({ type: 'rerun', run, from: { seq: 2 } });
    expect(t.take()).toEqual([]);
    t.advance(9_999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(t.one()).toMatchObject({ run: sleeping.run, steps: [{ key: 'r' }, { key: 's' }] });
    t.apply({ type: 'rerun', run, from: { key: 's' } });
    expect(keys(t.one())).toEqual(['r']);
  });

  it('takes the result of a child that has ended', () => {
    const t = open();
    t.register({ id: 'work' }, { id: 'child' });
    const run = t.start('work');
    t.report(t.one(), { op: 'wait-run', key: 'c', start: { task: 'child', input: null } });
    t.report(t.one(), { op: 'complete', output: '7' });
    t.report(t.one(), { op: 'fail', error: '1', retry: 'never' });
    t.apply({ type: 'rerun', run, from: { seq: 1 } });
    expect(t.one().steps).toMatchObject([{ key: 'c', data: '7' }]);
  });

  it('is refused for an unknown run, and for a step that a run under way has not got', () => {
    const t = open();
    expect(() => t.apply({ type: 'rerun', run: 'nobody', from: 'start' })).toThrow(/unknown-run/);
    const run = t.start('work');
    expect(() => t.apply({ type: 'rerun', run, from: { key: 'q' } })).toThrow(/unknown-step/);
  });
});

describe('a run that its app has begun already', () => {
  it('is not called while its holder has it, and ends by the holder’s report', () => {
    const t = open();
    const started = t.apply({
      type: 'start',
      spec: { task: 'work', input: null, leased: { holder: 'app', untilMs: t.nowMs + 1_000 } },
    });
    expect(t.take()).toEqual([]);
    t.restart();
    expect(t.take()).toEqual([]);
    const report = t.apply({
      type: 'report',
      run: started.run,
      lease: started.lease as string,
      outcome: { ops: [{ op: 'complete', output: '1' }] },
      final: true,
    });
    expect(report).toMatchObject({ result: 'live', status: 'completed' });
  });

  it('is called when the lease runs out, with the steps that the holder told', () => {
    const t = open();
    const { run, lease } = t.apply({
      type: 'start',
      spec: { task: 'work', input: null, leased: { holder: 'app', untilMs: t.nowMs + 1_000 } },
    });
    const told = (): string =>
      t.apply({
        type: 'report',
        run,
        lease: lease as string,
        outcome: { ops: [{ ...step('a'), again: 'none' }] },
        final: false,
      }).result;
    expect(told()).toBe('live');
    t.advance(1_000);
    expect(keys(t.one())).toEqual(['a']);
    expect(told()).toBe('stale');
  });

  it('goes on by calls once its holder hands it over', () => {
    const t = open();
    const { run, lease } = t.apply({
      type: 'start',
      spec: { task: 'work', input: null, leased: { holder: 'app', untilMs: t.nowMs + 1_000 } },
    });
    const ops = [{ op: 'sleep' as const, key: 's', untilMs: t.nowMs + 50 }];
    t.apply({ type: 'report', run, lease: lease as string, outcome: { ops }, final: true });
    expect(t.take()).toEqual([]);
    t.advance(50);
    expect(keys(t.one())).toEqual(['s']);
    t.advance(1_000);
    expect(t.take()).toEqual([]);
  });
});
