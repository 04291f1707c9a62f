import { expect, test } from 'vitest';
import { parseDurationMs, parseMoment } from './duration.ts';

test.each([
  ['1h30m', 5_400_000],
  ['30d', 2_592_000_000],
  ['1w2d', 777_600_000],
  ['1.5s', 1_500],
  ['250ms', 250],
  ['', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.each(['1', 'h', '1h 30m', '-1h', '2026-01-01T00:00:00Z'])('%s is no duration', (text) => {
  expect(parseDurationMs(text)).toBeNull();
});

test('a date is a moment and a past one is now', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(parseMoment('2026-01-02T00:00:00.000Z', now)).toBe(now + 86_400_000);
  expect(parseMoment('2025-01-02T00:00:00.000Z', now)).toBe(now);
  expect(parseMoment('tomorrow at noon', now)).toBeNull();
});
