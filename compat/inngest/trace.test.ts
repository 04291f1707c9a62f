import { describe, expect, it } from 'vitest';
import { MAIN } from '../../core/model/call.ts';
import type { HistoryBody, HistoryEntry } from '../../core/model/history.ts';
import type { PendingRecord, RunRecord } from '../../core/model/query.ts';
import { traceOf } from './trace.ts';
import type { Span, TraceStyle } from './trace.ts';

const RUN = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

function trace(
  bodies: HistoryBody[],
  style: TraceStyle,
  pending: Array<Partial<PendingRecord>> = [],
  error: string | null = null,
): Span {
  const history = bodies.map((body, i): HistoryEntry => ({ seq: i + 1, atMs: 1_000 * (i + 1), body, data: '{}' }));
  const end = bodies.find((body) => body.kind === 'end');
  const run = {
    id: RUN,
    status: end?.kind === 'end' ? end.status : 'running',
    createdAt: 0,
    startedAt: 10,
    endedAt: end ? 1_000 * bodies.length : null,
    error,
  } as RunRecord;
  return traceOf(run, history, pending as PendingRecord[], new Map(), style);
}

function lines(span: Span): unknown[] {
  const own = [span.name, span.status, span.attempts];
  return span.children.length === 0 ? own : [...own, span.children.map(lines)];
}

const retry: HistoryBody = { kind: 'retry', key: MAIN, attempt: 1, dueAt: 1_500 };
const step: HistoryBody = { kind: 'step', key: 'a', source: 'call', meta: '{"n":"first"}' } as HistoryBody;
const completed: HistoryBody = { kind: 'end', status: 'completed' };
const failed: HistoryBody = { kind: 'end', status: 'failed' };

describe('a run’s trace', () => {
  it('ends with the function’s own end, which the older way names after its outcome', () => {
    expect(trace([step, completed], 'older').children.map(lines)).toEqual([
      ['first', 'COMPLETED', 0],
      ['function success', 'COMPLETED', 0],
    ]);
    expect(trace([failed], 'older').children.map(lines)).toEqual([['function error', 'FAILED', 1]]);
    expect(trace([step, failed], 'newer').children.map(lines)).toEqual([
      ['first', 'COMPLETED', 0],
      ['Finalization', 'FAILED', 0],
    ]);
    expect(trace([step, { kind: 'end', status: 'cancelled' }], 'older').children.length).toBe(1);
  });

  it('shows a step’s attempts, and the calls of the function that failed before it', () => {
    const stepRetry: HistoryBody = { kind: 'retry', key: MAIN, attempt: 1, dueAt: 2_500, meta: '{"k":"a"}' };
    const older = trace([retry, stepRetry, step, completed], 'older');
    expect(older.children.map(lines)).toEqual([
      [
        'first',
        'COMPLETED',
        1,
        [
          ['Attempt 0', 'FAILED', 0],
          ['Attempt 1', 'FAILED', 1],
          ['Attempt 2', 'COMPLETED', 2],
        ],
      ],
      ['function success', 'COMPLETED', 0],
    ]);
    const attempt = (root: Span): Array<string | null> => [
      root.spanID,
      root.children[0]?.children[0]?.parentSpanID ?? null,
    ];
    const [root, parent] = attempt(older);
    expect(parent).toBe(root);
    const newer = trace([retry, stepRetry, step, completed], 'newer');
    expect(attempt(newer)[1]).toBe(newer.children[0]?.spanID);
  });

  it('of a function that failed again and again shows how often', () => {
    expect(trace([retry, failed], 'older').children.map(lines)).toEqual([
      [
        'execute',
        'FAILED',
        2,
        [
          ['Attempt 0', 'FAILED', 0],
          ['Attempt 1', 'FAILED', 1],
        ],
      ],
    ]);
  });

  it('whose answer was too large shows its only attempt in the older way', () => {
    const error = '{"message":"m","name":"output_too_large"}';
    expect(trace([failed], 'older', [], error).children.map(lines)).toEqual([
      ['function error', 'FAILED', 1, [['Attempt 0', 'FAILED', 0]]],
    ]);
    expect(trace([failed], 'newer', [], error).children.map(lines)).toEqual([['Finalization', 'FAILED', 0]]);
  });

  it('under way shows the attempt that is to come', () => {
    const root = trace([retry], 'older', [{ key: MAIN, kind: 'call' }]);
    expect(root.children.map(lines)).toEqual([
      [
        'execute',
        'RUNNING',
        0,
        [
          ['Attempt 0', 'FAILED', 0],
          ['Attempt 1', 'QUEUED', 1],
        ],
      ],
    ]);
    expect(root.children[0]?.outputSeq).toBeNull();
    expect(root.children[0]?.children[0]?.outputSeq).toBe(1);
  });

  it('gives a sleep no result to ask for', () => {
    const sleep = { kind: 'step', key: 'z', source: 'timeout', meta: '{"o":"Sleep","n":"nap"}' } as HistoryBody;
    expect(trace([sleep, completed], 'older').children[0]).toMatchObject({
      name: 'nap',
      stepOp: 'SLEEP',
      outputSeq: null,
    });
  });
});
