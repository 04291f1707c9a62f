import type { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { migrate } from '../store/schema.ts';
import { NodeSql } from './node-sql.ts';
import { isAskedByTest, planFault } from './plans.ts';

// That every statement which a unit test makes the engine or a translation ask has a bounded plan is checked where it is asked: see NodeSql.
function opened(): DatabaseSync {
  const sql = new NodeSql();
  migrate(sql);
  return sql.database;
}

it.each([
  ['SELECT id FROM runs WHERE status = ?', 'SCAN runs'],
  ['SELECT id FROM runs WHERE status = ? ORDER BY id LIMIT 10', 'SCAN runs'],
  ['SELECT count(*) AS n FROM events', 'SCAN events'],
  ['DELETE FROM names WHERE until <= ?', 'SCAN names'],
  ['SELECT seq FROM history WHERE run = ? ORDER BY at', 'USE TEMP B-TREE FOR ORDER BY'],
  ['SELECT r.id FROM runs r JOIN labels l ON l.run = r.id WHERE l.label > ?  ORDER BY r.id', 'USE TEMP B-TREE'],
])('a statement that may read or sort everything is known: %s', (statement, step) => {
  expect(planFault(opened(), statement)).toContain(step);
});

it.each([
  'SELECT * FROM runs WHERE id = ?',
  'SELECT id AS id FROM runs ORDER BY id DESC LIMIT 101',
  'SELECT id FROM runs WHERE id > ? ORDER BY id LIMIT ?',
  'SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND status = ?',
  'SELECT * FROM tasks WHERE current = 1',
  'INSERT INTO inbox (source, epoch, seq) VALUES (?, ?, ?)',
])('one that an index, a limit or a small table bounds is not: %s', (statement) => {
  expect(planFault(opened(), statement)).toBeNull();
});

it('a test may look at everything, what it tests may not', () => {
  expect(isAskedByTest(new Error().stack ?? '')).toBe(true);
  const frame = (file: string): string =>
    `Error\n    at NodeSql.all (/x/core/testing/node-sql.ts:1:1)\n    at f (/x/${file}:1:1)`;
  expect(isAskedByTest(frame('core/engine/queries.ts'))).toBe(false);
  expect(isAskedByTest(frame('compat/any/translate.ts'))).toBe(false);
  expect(isAskedByTest(frame('core/engine/queries.test.ts'))).toBe(true);
});
