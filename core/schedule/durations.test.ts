import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALL_UNITS, formatDuration, GO_UNITS, parseDuration, parseDurationNs } from './durations.ts';

describe('parseDuration', () => {
  it.each([
    ['1d10h30m', 124_200_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['1w', 604_800_000],
    ['10us', 0.01],
    ['10µs', 0.01],
    ['5ns', 0.000005],
    ['0', 0],
    ['0s', 0],
    ['+3s', 3_000],
    ['1m1m', 120_000],
    ['0.0000000001s', 0],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    '',
    ' ',
    '5',
    's',
    '5 s',
    '-5s',
    '1x',
    '1h ',
    '1.h',
    '.5h',
    '1e3s',
    '1H',
    '--1s',
    '1s-1s',
    '9'.repeat(30) + 'w',
    '1s'.repeat(40),
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  it('takes negatives, fractions and units only where allowed', () => {
    expect(parseDuration('-5s', { allowNegative: true })).toBe(-5_000);
    expect(parseDuration('1.5h', { allowFloat: false })).toBeNull();
    expect(parseDuration('1d', { units: GO_UNITS })).toBeNull();
    expect(parseDuration('1h', { units: ['s', 'm'] })).toBeNull();
  });

  it('is exact in nanoseconds', () => {
    expect(parseDurationNs('1h0.123456789s')).toBe(3_600_123_456_789n);
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.nushdwm+-]{0,80}$/)), (text) => {
        const ms = parseDuration(text, { allowNegative: true });
        return ms === null || Number.isFinite(ms);
      }),
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [1_500, '1s500ms'],
    [124_200_000, '1d10h30m'],
    [-60_000, '-1m'],
    [Number.NaN, '0s'],
  ])('writes %d as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('keeps to the units asked for', () => {
    expect(formatDuration(90_000, ['s'])).toBe('90s');
    expect(formatDuration(8 * 86_400_000, ['w', 'd'])).toBe('1w1d');
  });

  it('writes what parseDuration reads back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e12, max: 1e12 }),
        (ms) => parseDuration(formatDuration(ms, ALL_UNITS), { allowNegative: true }) === ms || ms === 0,
      ),
    );
  });
});
