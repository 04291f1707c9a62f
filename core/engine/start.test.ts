import { expect, test } from 'vitest';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

test('an alias that counts until its run has ended names the newest run, and keeps others away only while that runs', () => {
  const sql = new NodeSql();
  const t = new TestEngine({ sql });
  t.register({ id: 'work' });
  const start = (aliasUntil?: 'ended') =>
    t.apply({
      type: 'start',
      spec: { task: 'work', input: null, alias: 'mine', ...(aliasUntil ? { aliasUntil } : {}) },
    });
  const first = start('ended');
  expect(start('ended')).toMatchObject({ run: first.run, outcome: 'known' });
  t.report(t.one(), { op: 'complete', output: '1' });
  t.restart();
  // Who does not say so is kept away by a run that has ended, too.
  expect(start()).toMatchObject({ run: first.run, outcome: 'known' });
  const second = start('ended');
  expect(second.run).not.toBe(first.run);
  expect(start('ended')).toMatchObject({ run: second.run, outcome: 'known' });
  t.apply({
    type: 'report',
    run: 'mine',
    outcome: { ops: [{ op: 'complete', output: '2' }] },
    final: false,
    anyLease: true,
  });
  const output = (run: string): unknown => (t.engine.query({ type: 'run', run }) as { output: string }).output;
  expect([output(first.run), output(second.run), output('mine')]).toEqual(['1', '2', '2']);
  sql.close();
});
