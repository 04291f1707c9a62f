import { describe, expect, it } from 'vitest';
import { debounceOf } from './debounce.ts';

describe("a trigger's debounce", () => {
  it('lasts for as long as triggers come where it says nothing, and keeps the first payload', () => {
    expect(debounceOf({ key: 'k', delay: '1m30s' }, 't', undefined, {})).toEqual({
      kind: 'debounce',
      key: 'trigger/debounce/t/k',
      delayMs: 90_000,
      atMax: 'renew',
      keep: 'first',
    });
  });

  it('brings only what it says to the run that waits', () => {
    const trailing = { payloadType: 'application/json', machine: 'micro' };
    expect(
      debounceOf({ key: 'k', delay: '5s', mode: 'trailing', maxDelay: '10m' }, 't', undefined, trailing),
    ).toMatchObject({
      keep: 'last',
      maxDelayMs: 600_000,
      patch: JSON.stringify(trailing),
    });
  });

  it.each(['', 'soon', '0s', '500ms', '-5s'])('with the delay "%s" is refused', (delay) => {
    expect(() => debounceOf({ key: 'k', delay }, 't', undefined, {})).toThrow(/debounce\.delay/);
    expect(() => debounceOf({ key: 'k', delay: '5s', maxDelay: delay }, 't', undefined, {})).toThrow(
      /debounce\.maxDelay/,
    );
  });

  // trigger.dev: apps/webapp/test/engine/triggerTask.debounce.test.ts
  it.each(['12h', '1h', '720m'])(
    'of twelve hours is refused with a greatest delay of %s: nothing is put off by it',
    (maxDelay) => {
      expect(() => debounceOf({ key: 'k', delay: '12h', maxDelay }, 't', undefined, {})).toThrow(
        /longer than debounce\.delay/,
      );
    },
  );
});
