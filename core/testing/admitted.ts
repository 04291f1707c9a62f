import type { LeasedCall } from '../model/call.ts';
import type { Admission, TaskSpec } from '../model/task.ts';
import { TestEngine } from './harness.ts';
import { NodeSql } from './node-sql.ts';

/** An engine with one task, `work`, that starts by the event `e` and is admitted so. */
export function open(admit: Admission[], more: Partial<TaskSpec> = {}): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'e' }], admit, ...more });
  return t;
}

let count = 0;
export function send(t: TestEngine, data: object = {}, more: object = {}): Array<{ run: string }> {
  const ts = t.nowMs;
  const event = {
    id: `e${String(count++).padStart(6, '0')}`,
    name: 'e',
    ts,
    body: JSON.stringify({ name: 'e', data, ts }),
    ...more,
  };
  return t.apply({ type: 'ingest', events: [event] }).runs;
}

export function end(t: TestEngine, call: LeasedCall): void {
  t.report(call, { op: 'complete', output: '"done"' });
}

export function record(t: TestEngine, run: string) {
  return t.engine.query({ type: 'run', run });
}

export function dataOf(call: LeasedCall): unknown[] {
  return call.events.map((event) => (JSON.parse(event.body) as { data: unknown }).data);
}
