import { describe, expect, it } from 'vitest';
import { debounceOf } from './debounce.ts';

describe("a trigger's debounce", () => {
  it('lasts an hour at most where it says nothing, and keeps the first payload', () => {
    expect(debounceOf({ key: 'k', delay: '1m30s' }, 't', {})).toEqual({
      kind: 'debounce',
      key: 'trigger/debounce/t/k',
      delayMs: 90_000,
      maxDelayMs: 3_600_000,
      atMax: 'renew',
      keep: 'first',
    });
  });

  it('brings only what it says to the run that waits', () => {
    const trailing = { payloadType: 'application/json', machine: 'micro' };
    expect(debounceOf({ key: 'k', delay: '5s', mode: 'trailing', maxDelay: '10m' }, 't', trailing)).toMatchObject({
      keep: 'last',
      maxDelayMs: 600_000,
      patch: JSON.stringify(trailing),
    });
  });

  it.each(['', 'soon', '0s', '500ms', '-5s'])('with the delay "%s" is refused', (delay) => {
    expect(() => debounceOf({ key: 'k', delay }, 't', {})).toThrow(/debounce\.delay/);
    expect(() => debounceOf({ key: 'k', delay: '5s', maxDelay: delay }, 't', {})).toThrow(/debounce\.maxDelay/);
  });
});
