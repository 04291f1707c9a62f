import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Cron, nextOccurrence, occurrencesBetween, parseCron } from './cron.ts';

const NEW_YORK = 'America/New_York';

function cronOf(text: string, timezone?: string): Cron {
  const parsed = parseCron(text, { timezone });
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.cron;
}

function first(text: string, from: string, count: number, timezone?: string): string[] {
  return occurrencesBetween(cronOf(text, timezone), Date.parse(from), Infinity, count).map((ms) =>
    new Date(ms).toISOString().slice(0, 16),
  );
}

function errorOf(text: string, timezone?: string): string {
  const parsed = parseCron(text, { timezone });
  return parsed.ok ? '' : parsed.error;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('parseCron', () => {
  it.each([
    ['*/15 * * * *', ['2026-01-01T00:15', '2026-01-01T00:30']],
    ['5/20 * * * *', ['2026-01-01T00:05', '2026-01-01T00:25']],
    ['0 9-10 * * MON', ['2026-01-05T09:00', '2026-01-05T10:00']],
    ['0 0 1 jan,Jul *', ['2026-07-01T00:00', '2027-01-01T00:00']],
    ['0 0 L * *', ['2026-01-31T00:00', '2026-02-28T00:00']],
    ['0 0 L 2 *', ['2026-02-28T00:00', '2027-02-28T00:00']],
    ['0 0 29 2 *', ['2028-02-29T00:00', '2032-02-29T00:00']],
    ['0 0 * * 5L', ['2026-01-30T00:00', '2026-02-27T00:00']],
    ['0 0 ? * 0', ['2026-01-04T00:00', '2026-01-11T00:00']],
    ['0 0 13 * FRI', ['2026-01-02T00:00', '2026-01-09T00:00']],
    ['  0   0  * * *  ', ['2026-01-02T00:00', '2026-01-03T00:00']],
    ['@hourly', ['2026-01-01T01:00', '2026-01-01T02:00']],
    ['CRON_TZ=Asia/Tokyo 0 4 * * *', ['2026-01-01T19:00', '2026-01-02T19:00']],
    ['TZ=Asia/Kolkata @daily', ['2026-01-01T18:30', '2026-01-02T18:30']],
  ])('reads %s', (text, expected) => {
    expect(first(text, '2026-01-01T00:00:00Z', 2)).toEqual(expected);
  });

  it('lets the prefix win over the option', () => {
    expect(cronOf('TZ=Europe/Paris 0 0 * * *', 'Asia/Tokyo').timezone).toBe('Europe/Paris');
    expect(cronOf('0 0 * * *', 'Asia/Tokyo').timezone).toBe('Asia/Tokyo');
    expect(cronOf('0 0 * * *').timezone).toBe('UTC');
  });

  it.each([
    ['', /five fields .* has 0/],
    ['* * * *', /has 4/],
    ['0 0 0 * * *', /has 6; leave the seconds out/],
    ['60 * * * *', /minute/],
    ['0 24 * * *', /hour/],
    ['0 0 32 * *', /day/],
    ['*/0 * * * *', /stepping/],
    ['0 0 31 2 *', /never occurs/],
    ['0 0 15W * *', /'15W' is not a day of month; write for example/],
    ['0 0 * * MON#2', /day of week/],
    ['FOO * * * *', /minute/],
    ['@every 5m', /not an alias/],
    ['2026-01-01T00:00:00', /five fields/],
    ['TZ=Mars/Base 0 0 * * *', /'Mars\/Base' is not an IANA time zone/],
    ['TZ= 0 0 * * *', /time zone/],
    ['0'.repeat(300), /longer than 255/],
  ])('refuses %j and says why', (text, message) => {
    expect(errorOf(text)).toMatch(message);
  });

  it('never throws, whatever the text', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^(TZ=[A-Z/]{0,5} )?[0-9*,/L?A-Z#@ -]{0,40}$/));
    fc.assert(
      fc.property(
        text,
        fc.string({ maxLength: 8 }),
        (cron, timezone) => typeof parseCron(cron, { timezone }).ok === 'boolean',
      ),
    );
  });
});

describe('daylight saving', () => {
  it('fires a time inside the gap once, right after it', () => {
    expect(first('30 2 * * *', '2026-03-07T12:00:00Z', 2, NEW_YORK)).toEqual(['2026-03-08T07:00', '2026-03-09T06:30']);
    expect(first('0,30 2,14 * * *', '2026-03-08T05:00:00Z', 3, NEW_YORK)).toEqual([
      '2026-03-08T07:00',
      '2026-03-08T18:00',
      '2026-03-08T18:30',
    ]);
  });

  it('fires a fixed time in the repeated hour once, the first time round', () => {
    expect(first('30 1 * * *', '2026-10-31T12:00:00Z', 2, NEW_YORK)).toEqual(['2026-11-01T05:30', '2026-11-02T06:30']);
  });

  it('runs a step through both repeated hours and straight over the gap', () => {
    expect(first('*/30 * * * *', '2026-11-01T04:30:00Z', 5, NEW_YORK)).toEqual([
      '2026-11-01T05:00',
      '2026-11-01T05:30',
      '2026-11-01T06:00',
      '2026-11-01T06:30',
      '2026-11-01T07:00',
    ]);
    expect(first('*/30 * * * *', '2026-03-08T06:00:00Z', 3, NEW_YORK)).toEqual([
      '2026-03-08T06:30',
      '2026-03-08T07:00',
      '2026-03-08T07:30',
    ]);
  });

  it('handles a half-hour shift', () => {
    expect(first('15 2 * * *', '2026-10-03T00:00:00Z', 2, 'Australia/Lord_Howe')).toEqual([
      '2026-10-03T15:30',
      '2026-10-04T15:15',
    ]);
  });
});

describe('nextOccurrence', () => {
  it('is strictly after the start', () => {
    const cron = cronOf('* * * * *');
    expect(nextOccurrence(cron, 60_000)).toBe(120_000);
    expect(nextOccurrence(cron, 119_999)).toBe(120_000);
    expect(nextOccurrence(cron, -1)).toBe(0);
    expect(nextOccurrence(cron, -1e15)).toBe(0);
  });

  it('is null beyond the calendar and for what is not a time', () => {
    const cron = cronOf('* * * * *');
    expect([8.64e15, Infinity, Number.NaN].map((ms) => nextOccurrence(cron, ms))).toEqual([null, null, null]);
  });

  it('does not depend on the time of day', () => {
    const texts = ['*/5 * * * *', '30 2 * * *', '0 0 L * *', '0 0 29 2 *'];
    const look = () => texts.map((text) => first(text, '2026-03-08T00:00:00Z', 3, NEW_YORK));
    const expected = look();
    vi.useFakeTimers({ now: Date.UTC(2093, 5, 5) });
    expect(look()).toEqual(expected);
  });

  it('rises strictly, stays on whole minutes and matches a list of what lies between', () => {
    const field = (max: number, min = 0) =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min, max }).map(String),
        fc.integer({ min: 1, max: 20 }).map((step) => `*/${Math.min(step, max)}`),
        fc
          .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
          .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      );
    const text = fc.tuple(field(59), field(23), field(28, 1), field(12, 1), field(6)).map((fields) => fields.join(' '));
    const timezone = fc.constantFrom('UTC', NEW_YORK, 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe');
    const start = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2027, 0, 1) });
    fc.assert(
      fc.property(text, timezone, start, (cron, zone, fromMs) => {
        const parsed = cronOf(cron, zone);
        const found = occurrencesBetween(parsed, fromMs, Infinity, 6);
        expect(found).toHaveLength(6);
        let before = fromMs;
        for (const ms of found) {
          expect(ms).toBeGreaterThan(before);
          expect(ms % 60_000).toBe(0);
          expect(nextOccurrence(parsed, ms - 1)).toBe(ms);
          before = ms;
        }
        expect(occurrencesBetween(parsed, fromMs, found[2] ?? 0, 100)).toEqual(found.slice(0, 3));
      }),
      { numRuns: 60 },
    );
  });
});
