import { describe, expect, test } from 'vitest';
import type { LeasedCall } from '../../core/model/call.ts';
import type { HttpResult } from '../../core/ports.ts';
import { failOp, responseRecord, retryAfterMs, willRetry } from './outcome.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

function answer(status: number, headers: Array<[string, string]> = []): HttpResult {
  return { ok: true, status, headers, body: new Uint8Array(), truncated: false, durationMs: 10 };
}

const call = { attempt: 0, maxAttempts: 4, leasedAt: NOW } as LeasedCall;

describe('when the destination says when to come back', () => {
  test.each([
    ['retry-after', '120', 120_000],
    ['retry-after', '0', 0],
    ['retry-after', '6m5s', 365_000],
    ['retry-after', 'Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['retry-after', 'Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['Retry-After', '100ms', 100],
    ['x-ratelimit-reset', '5', 5_000],
    ['x-ratelimit-reset-requests', '1s', 1_000],
    ['x-ratelimit-reset-tokens', '2m', 120_000],
    ['retry-after', '25h', null],
    ['retry-after', 'later', null],
    ['retry-after', '', null],
    ['x-other', '5', null],
  ])('%s: %s', (name, value, ms) => {
    expect(retryAfterMs([[name, value]], NOW)).toBe(ms);
  });

  test('the first header that can be read counts', () => {
    expect(
      retryAfterMs(
        [
          ['x-ratelimit-reset', '5'],
          ['retry-after', 'later'],
        ],
        NOW,
      ),
    ).toBe(5_000);
  });
});

describe('a failed attempt', () => {
  test('is retried by policy, at the asked time, or never', () => {
    const retry = (result: HttpResult): unknown => failOp(call, result, responseRecord(result)).retry;
    expect(retry(answer(500))).toBe('policy');
    expect(retry(answer(302, [['location', '/x']]))).toBe('policy');
    expect(retry(answer(429, [['retry-after', '1']]))).toEqual({ at: NOW + 1_010 });
    expect(retry(answer(489))).toBe('never');
    expect(retry(answer(500, [['upstash-nonretryable-error', 'true']]))).toBe('never');
    expect(retry({ ok: false, code: 'timeout', message: '', durationMs: 1 })).toBe('policy');
    expect(retry({ ok: false, code: 'refused-destination', message: '', durationMs: 1 })).toBe('never');
  });

  test('has no retry left after the last one', () => {
    const failure = failOp(call, answer(500), responseRecord(answer(500)));
    expect(willRetry(call, failure)).toBe(true);
    expect(willRetry({ ...call, attempt: 3 }, failure)).toBe(false);
    expect(willRetry(call, { ...failure, retry: 'never' })).toBe(false);
  });

  test("is recorded with Go's status line and headers", () => {
    expect(
      responseRecord(
        answer(404, [
          ['x-one', 'a'],
          ['X-ONE', 'b'],
        ]),
      ),
    ).toEqual({
      message: '404 Not Found',
      status: 404,
      header: { 'X-One': ['a', 'b'] },
      body: '',
    });
    expect(responseRecord({ ok: false, code: 'connection', message: 'refused', durationMs: 1 })).toMatchObject({
      status: 0,
      message: 'refused',
    });
  });
});
