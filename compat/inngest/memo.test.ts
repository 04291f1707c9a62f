import { expect, test } from 'vitest';
import type { StepEntry } from '../../core/model/call.ts';
import { memoOf, memosOf } from './memo.ts';
import { writeMeta } from './step-meta.ts';

function step(over: Partial<StepEntry>): StepEntry {
  return { seq: 1, atMs: 0, key: 'k', source: 'call', error: false, data: null, meta: null, from: null, ...over };
}

test.each<[string, Partial<StepEntry>, unknown]>([
  ['a step', { data: '{"v":1}' }, { data: { v: 1 } }],
  ['a step without result', {}, { data: null }],
  ['a failed step', { error: true, data: '{"message":"no"}' }, { error: { message: 'no' } }],
  ['a step of an old SDK', { data: '{"data":1}', meta: writeMeta({ o: 'Step' }) }, { data: 1 }],
  ['a sleep', { source: 'sleep' }, null],
  [
    'an event that came',
    { source: 'event', data: '{"name":"a"}', meta: writeMeta({ o: 'WaitForEvent' }) },
    { name: 'a' },
  ],
  ['an event that did not come', { source: 'timeout', meta: writeMeta({ o: 'WaitForEvent' }) }, null],
  ['an invocation', { source: 'run', data: '7' }, { data: 7 }],
  ['a failed invocation', { source: 'run', error: true, data: '{"message":"no"}' }, { error: { message: 'no' } }],
  [
    'an invocation of what is not there',
    {
      source: 'run',
      error: true,
      meta: writeMeta({ o: 'InvokeFunction', f: 'shop-gone' }),
      from: { run: '', status: 'failed', reason: 'unknown-task' },
    },
    { error: { message: 'could not find function with ID: shop-gone', name: 'Error' } },
  ],
  [
    'a cancelled invocation',
    { source: 'run', error: true },
    { error: { message: 'Invoked function was cancelled', name: 'NonRetriableError' } },
  ],
  [
    'a signal',
    { source: 'token', data: '1', meta: writeMeta({ o: 'WaitForSignal', s: 'go' }) },
    { data: { data: 1, signal: 'go' } },
  ],
])('%s has its own shape', (_, over, expected) => {
  expect(JSON.parse(memoOf(step(over)))).toEqual(expected);
});

test('an invocation that took too long is an error', () => {
  const memo = JSON.parse(memoOf(step({ source: 'timeout', meta: writeMeta({ o: 'InvokeFunction' }) }))) as {
    error: { name: string };
  };
  expect(memo.error.name).toBe('InngestInvokeTimeoutError');
});

test('memos are ordered by their keys', () => {
  expect(memosOf([step({ key: 'b', data: '1' }), step({ key: 'a', source: 'sleep' })])).toBe(
    '{"a":null,"b":{"data":1}}',
  );
});
