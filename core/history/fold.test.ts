import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeasedCall, Op } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';
import type { RunState } from './state.ts';

const key = fc.constantFrom('a', 'b', 'c', 'd');
const again = fc.constantFrom('none' as const, 'each' as const, 'last' as const);

/** Anything an executor may say, sensible or not. */
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant('step' as const), key, data: fc.constantFrom('1', null), again, error: fc.boolean() }),
  fc.record({
    op: fc.constant('step' as const),
    key,
    data: fc.constant('2'),
    then: fc.record({ key, again, data: fc.constant('x'.repeat(3)) }),
  }),
  fc.record({ op: fc.constant('plan' as const), calls: fc.array(fc.record({ key, again }), { maxLength: 3 }) }),
  fc.record({
    op: fc.constant('sleep' as const),
    key,
    untilMs: fc.integer({ min: 0, max: 5 }).map((ms) => START_MS + ms),
    again,
  }),
  fc.record({ op: fc.constant('wait-token' as const), key, token: fc.constant('t'), again }),
  fc.record({
    op: fc.constant('fail' as const),
    error: fc.constant('"e"'),
    retry: fc.constantFrom('policy' as const, 'never' as const),
    memoKey: key,
    next: fc.constant({ meta: '{"n":1}' }),
  }),
  fc.constant<Op>({
    op: 'patch' as const,
    document: 'd',
    id: '1',
    maxBytes: 100,
    changes: [{ path: ['n'], do: 'add' as const, value: '1' }],
  }),
  fc.record({
    op: fc.constant('label' as const),
    labels: fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 }),
    remove: fc.array(fc.constant('x'), { maxLength: 1 }),
  }),
  fc.constant({ op: 'again' as const }),
  fc.constant({ op: 'begin' as const }),
  fc.constant({ op: 'note' as const, name: 'n', data: '1' }),
);

const START_MS = Date.UTC(2026, 0, 1);

const move = fc.oneof(
  fc.record({
    kind: fc.constant('report' as const),
    which: fc.nat(5),
    ops: fc.array(op, { maxLength: 3 }),
    final: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 2_000 }) }),
  fc.constant({ kind: 'token' as const }),
  fc.constant({ kind: 'restart' as const }),
);

/** A state without what only the process knows that leased its calls. */
function comparable(state: RunState | undefined | null): unknown {
  return (
    state && {
      ...state,
      startedAt: null,
      startKept: false,
      stepKeys: [...state.stepKeys].sort(),
      pending: [...state.pending].sort(),
    }
  );
}

describe('a history', () => {
  it.each(['push', 'pull'] as const)(
    'folds to the state of the run that wrote it, whatever a %s executor says',
    (mode) => {
      fc.assert(
        fc.property(fc.array(move, { maxLength: 25 }), (moves) => {
          const t = new TestEngine({ sql: new NodeSql() });
          t.register({ id: 'work', mode, pool: 'p', maxAttempts: 2 });
          const run = t.start('work');
          const calls: LeasedCall[] = [];
          for (const one of moves) {
            calls.push(
              ...t.take(),
              ...(mode === 'pull' ? t.engine.lease({ pool: 'p', max: 2, holdMs: 500, holder: 'w' }) : []),
            );
            const call = calls[one.kind === 'report' ? one.which % Math.max(1, calls.length) : 0];
            if (one.kind === 'time') t.advance(one.ms);
            else if (one.kind === 'token') t.apply({ type: 'complete-token', token: 't', data: '1' });
            else if (one.kind === 'restart') t.restart();
            else if (call)
              t.apply({ type: 'report', run, lease: call.lease, outcome: { ops: one.ops }, final: one.final });
          }
          const { kernel } = t.engine;
          expect(comparable(kernel.runs.load(run))).toEqual(comparable(kernel.find(run)?.state));
        }),
        { numRuns: 150 },
      );
    },
  );
});
