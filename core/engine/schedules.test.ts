import { expect, it } from 'vitest';
import type { ScheduleTick, Translator } from '../ports.ts';
import { migrate } from '../store/schema.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

function engineWith(translators: Record<string, Translator> = {}): TestEngine {
  return new TestEngine({ sql: new NodeSql(), translators });
}

it('starts all that a start can say: labels, limits, meta, expiry and priority', () => {
  const t = engineWith();
  t.register({ id: 'work' });
  t.apply({
    type: 'put-schedule',
    schedule: {
      id: 's',
      cron: '0 * * * *',
      start: { task: 'work', input: '"in"', meta: '{"m":1}', labels: ['of-schedule'], maxAttempts: 7 },
    },
  });
  t.advance(3_600_000);
  expect(t.one()).toMatchObject({
    input: '"in"',
    meta: '{"m":1}',
    labels: ['of-schedule'],
    maxAttempts: 7,
    scheduledAt: t.nowMs,
  });
});

it('lets the executor of its task decide what a tick starts, with the coming times and records at hand', () => {
  const ticks: ScheduleTick[] = [];
  const t = engineWith({
    test: {
      scheduled(tick, read) {
        ticks.push(tick);
        const targets = JSON.parse(read.get('targets', 'all') ?? '[]') as string[];
        return targets.map((target) => ({ ...tick.schedule.start, input: `"${target}"` }));
      },
    },
  });
  t.register({ id: 'work' });
  t.apply({ type: 'put-record', collection: 'targets', id: 'all', data: '["a","b"]' });
  const hourly = { id: 's', cron: '0 * * * *', start: { task: 'work', input: null } };
  t.apply({ type: 'put-schedule', schedule: hourly });
  t.advance(3_600_000);
  const calls = t.take();
  expect(calls.map((call) => call.input)).toEqual(['"a"', '"b"']);
  expect(t.engine.query({ type: 'schedule', id: 's' })?.lastRuns).toEqual(calls.map((call) => call.run));
  expect(ticks[0]?.upcoming.slice(0, 2)).toEqual([t.nowMs + 3_600_000, t.nowMs + 7_200_000]);
  t.apply({ type: 'delete-record', collection: 'targets', id: 'all' });
  t.advance(3_600_000);
  expect(t.take()).toEqual([]);
  expect(t.engine.query({ type: 'schedule', id: 's' })).toMatchObject({
    lastAt: t.nowMs,
    lastRuns: calls.map((call) => call.run),
  });
});

it('reads a schedule that an earlier version stored', () => {
  const sql = new NodeSql();
  migrate(sql, 1);
  const old = { id: 's', cron: '0 * * * *', task: 'work', meta: '{"m":1}', limits: [], maxAttempts: 3 };
  sql.run(
    `INSERT INTO schedules (id, spec, input, created_at, last_at, next_at, last_run) VALUES ('s', ?, '1', 5, NULL, 9, 'r')`,
    JSON.stringify(old),
  );
  const t = new TestEngine({ sql });
  expect(t.engine.query({ type: 'schedule', id: 's' })).toMatchObject({
    id: 's',
    cron: '0 * * * *',
    createdAt: 5,
    nextAt: 9,
    lastRuns: ['r'],
    start: { task: 'work', input: '1', meta: '{"m":1}', limits: [], maxAttempts: 3 },
  });
});
