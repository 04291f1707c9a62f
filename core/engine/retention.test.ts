import { expect, it } from 'vitest';
import { RETENTION_BATCH, RETENTION_EVERY_MS } from '../model/limits.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const ROWS = 2 * RETENTION_BATCH + 50;

function count(t: TestEngine, table: string): number {
  return t.sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n ?? -1;
}

it('what is too old is found wherever it stands, a batch at a time, and what is not stays', () => {
  const t = new TestEngine({ sql: new NodeSql() });
  const { nowMs } = t;
  t.sql.transaction(() => {
    for (let i = 0; i < ROWS; i++) {
      // Old and young ones mixed, in the order of their keys.
      const untilMs = nowMs + (i % 2 === 0 ? 1 : 2 * RETENTION_EVERY_MS);
      const id = String(i).padStart(6, '0');
      t.sql.run(`INSERT INTO names (key, run, until) VALUES (?, 'run', ?)`, id, untilMs);
      t.sql.run(`INSERT INTO rates (counter, state, idle_at) VALUES (?, '{}', ?)`, id, untilMs);
      t.sql.run(
        `INSERT INTO records (collection, id, data, updated_at, expires_at) VALUES (?, ?, '1', 0, ?)`,
        `notes ${i % 3}`,
        id,
        i % 5 === 0 ? null : untilMs,
      );
    }
  });
  const kept = t.sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM records WHERE collection LIKE 'notes%' AND (expires_at IS NULL OR expires_at > ?)`,
    nowMs + RETENTION_EVERY_MS,
  )[0]?.n;
  t.advance(RETENTION_EVERY_MS);
  for (let rounds = 0; rounds < 10; rounds++) t.advance(1);
  for (const table of ['names', 'rates']) expect(count(t, table)).toBe(ROWS / 2);
  expect(t.sql.all(`SELECT id FROM records WHERE collection LIKE 'notes%'`)).toHaveLength(kept ?? -1);
  // Once round: the next begins anew, an hour later.
  expect(t.sql.all(`SELECT key FROM meta WHERE key LIKE 'retention-cursor:%' AND value <> ''`)).toEqual([]);
  t.advance(2 * RETENTION_EVERY_MS);
  for (let rounds = 0; rounds < 10; rounds++) t.advance(1);
  for (const table of ['names', 'rates']) expect(count(t, table)).toBe(0);
});
