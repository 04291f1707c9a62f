import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireError } from './errors.ts';
import { parseOptions } from './options.ts';

function refusal(headers: Array<[string, string]>): WireError {
  try {
    parseOptions(headers);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('options of a publish request', () => {
  test('what the SDK sends is read, telemetry and the token are left out', () => {
    const options = parseOptions([
      ['authorization', 'Bearer x'],
      ['content-type', 'application/json'],
      ['Upstash-Method', 'put'],
      ['upstash-delay', '1d10h30m'],
      ['upstash-retries', '0'],
      ['upstash-retry-delay', 'pow(2, retried) * 1000'],
      ['upstash-timeout', '30'],
      ['upstash-forward-x-user', 'me'],
      ['upstash-forward-host', 'evil'],
      ['upstash-forward-upstash-signature', 'fake'],
      ['upstash-telemetry-sdk', 'js'],
      ['upstash-label', 'a, b,a'],
      ['upstash-flow-control-key', 'k'],
      ['upstash-flow-control-value', 'parallelism=5, rate=10, period=1m'],
      ['upstash-redact-fields', 'body,header[X-Key]'],
      ['upstash-something-new', 'x'],
    ]);
    expect(options).toMatchObject({
      method: 'PUT',
      contentType: 'application/json',
      delayMs: 124_200_000,
      retries: 0,
      retryDelay: 'pow(2, retried) * 1000',
      timeoutMs: 30_000,
      forward: [['x-user', 'me']],
      labels: ['a', 'b'],
      flowControl: { key: 'k', parallelism: 5, rate: 10, periodMs: 60_000 },
      redact: { body: true, headers: ['x-key'] },
    });
  });

  test('a callback has options of its own, and so has its failure callback', () => {
    const { callback, failureCallback } = parseOptions([
      ['upstash-callback', 'http://a.test/cb'],
      ['upstash-callback-retries', '1'],
      ['upstash-callback-forward-x-a', '1'],
      ['upstash-callback-workflow-runid', 'wfr_1'],
      ['upstash-callback-workflow-calltype', 'fromCallback'],
      ['upstash-callback-failure-callback', 'http://a.test/fail'],
      ['upstash-callback-failure-callback-method', 'PATCH'],
      ['upstash-failure-callback', 'http://a.test/failed'],
      ['upstash-failure-callback-flow-control-key', 'k'],
      ['upstash-failure-callback-flow-control-value', 'rate=1'],
    ]);
    expect(callback).toMatchObject({
      url: 'http://a.test/cb',
      retries: 1,
      forward: [['x-a', '1']],
      workflow: { runId: 'wfr_1', callType: 'fromCallback', init: false },
      failureCallback: { url: 'http://a.test/fail', method: 'PATCH' },
    });
    expect(failureCallback).toMatchObject({
      url: 'http://a.test/failed',
      flowControl: { key: 'k', rate: 1, periodMs: 1000 },
    });
  });

  test('a not-before of the workflow SDK may have a fraction', () => {
    expect(parseOptions([['upstash-not-before', '1700000000.5']]).notBeforeMs).toBe(1_700_000_000_500);
  });

  test('with header-forward every header goes along but the key and the framing', () => {
    const { forward } = parseOptions([
      ['upstash-header-forward', 'true'],
      ['authorization', 'Bearer x'],
      ['content-length', '1'],
      ['x-event', 'push'],
    ]);
    expect(forward).toEqual([['x-event', 'push']]);
  });

  test.each([
    ['upstash-delay', 'soon', 400],
    ['upstash-delay', '-5s', 400],
    ['upstash-delay', '4000000000s', 412],
    ['upstash-retries', '1.5', 400],
    ['upstash-retries', '1000000', 412],
    ['upstash-retry-delay', 'constructor', 400],
    ['upstash-method', 'TRACE', 400],
    ['upstash-not-before', 'tomorrow', 400],
    ['upstash-timeout', '0', 400],
    ['upstash-timeout', '3h', 412],
    ['upstash-label', '', 400],
    ['upstash-callback', 'javascript:alert(1)', 400],
    ['upstash-queue-name', 'a b', 400],
    ['upstash-flow-control-key', 'k', 400],
    ['upstash-redact-fields', 'everything', 400],
    ['upstash-header-forward', 'maybe', 400],
    ['upstash-forward-x', 'a\r\nevil: 1', 400],
    ['upstash-deduplication-id', '', 400],
  ])('%s: %j is refused by name', (name, value, status) => {
    const error = refusal([[name, value]]);
    expect(error.status).toBe(status);
    const shown = name.startsWith('upstash-flow') ? 'upstash-flow-control' : name;
    expect(error.message.toLowerCase()).toContain(shown);
  });

  test('a delayed callback is refused', () => {
    const error = refusal([
      ['upstash-callback', 'http://a.test'],
      ['upstash-callback-delay', '1s'],
    ]);
    expect(error.status).toBe(400);
  });

  test("whatever a header says, it is read or refused in the vendor's shape", () => {
    const names = fc.constantFrom(
      'delay',
      'not-before',
      'retries',
      'retry-delay',
      'timeout',
      'callback',
      'failure-callback',
      'callback-retries',
      'callback--',
      'label',
      'flow-control-key',
      'flow-control-value',
      'redact-fields',
      'cron',
      'schedule-id',
      'workflow-runid',
      'forward-',
      'forward-x',
      'callback-callback-callback-callback-callback',
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(names, fc.string()), { maxLength: 8 }), (pairs) => {
        try {
          parseOptions(pairs.map(([name, value]) => [`upstash-${name}`, value]));
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          expect(error.status).toBeOneOf([400, 412]);
        }
      }),
    );
  });
});
