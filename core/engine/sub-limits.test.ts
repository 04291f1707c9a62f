import { describe, expect, it } from 'vitest';
import { NodeSql } from '../testing/node-sql.ts';
import { TestEngine } from '../testing/harness.ts';

function open(): TestEngine {
  return new TestEngine({ sql: new NodeSql() });
}

const work = { id: 'work', limits: [{ key: 'q', max: 1, hold: 'call' as const, expression: 'event.u' }] };
const start = (t: TestEngine, ...users: string[]): void => {
  for (const u of users) t.start('work', { input: JSON.stringify({ u }) });
};

describe('what is set for a limit', () => {
  it('counts for one of its sub-keys alone, over a restart, until its time is over or it is taken back', () => {
    const t = open();
    t.register(work);
    const sub = { type: 'set-sub-limit', key: 'q', sub: 'a' } as const;
    const shown = (of: string): unknown => t.engine.query({ type: 'sub-limit', key: 'q', sub: of });
    t.apply({ ...sub, max: 2, untilMs: t.nowMs + 1_000 });
    start(t, 'a', 'a', 'a', 'b', 'b');
    expect(t.take().map((call) => call.input)).toEqual(['{"u":"a"}', '{"u":"a"}', '{"u":"b"}']);
    // Rules of the limit itself are for the others.
    t.apply({ type: 'set-limit', key: 'q', max: 0 });
    expect([shown('a'), shown('b')]).toEqual([
      { max: 2, held: 2 },
      { max: null, held: 1 },
    ]);
    expect(t.engine.query({ type: 'limits' })).toMatchObject([{ key: 'q', max: 0, set: { max: 0 } }]);
    t.apply({ ...sub, max: 3, untilMs: t.nowMs + 1_000 });
    expect(t.take()).toHaveLength(1);
    t.restart();
    t.take();
    expect(shown('a')).toEqual({ max: 3, held: 3 });
    t.advance(1_000);
    expect(shown('a')).toMatchObject({ max: null });
    start(t, 'a');
    expect(t.take()).toEqual([]);
    t.apply({ ...sub, max: 9 });
    expect(t.take()).toHaveLength(1);
    t.apply({ ...sub, max: null });
    t.apply({ type: 'set-limit', key: 'q', max: null });
    expect(t.sql.all(`SELECT * FROM limit_rules`)).toEqual([]);
    t.restart();
    expect(t.sql.all(`SELECT * FROM pending WHERE kind = 'sub-limit'`)).toEqual([]);
  });

  it('counts for one of its sub-keys as long as was said last', () => {
    const t = open();
    t.register(work);
    const sub = { type: 'set-sub-limit', key: 'q', sub: 'a' } as const;
    t.apply({ ...sub, max: 0, untilMs: t.nowMs + 1_000 });
    t.apply({ ...sub, max: 0, untilMs: t.nowMs + 5_000 });
    start(t, 'a');
    t.advance(4_999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(t.take()).toHaveLength(1);
  });
});
