import { describe, expect, it } from 'vitest';
import { eventsOf } from './events.ts';

const HOUR = Date.parse('2026-11-24T10:00:00Z');

function timerData(jitter: true | undefined, startDueAt: number): unknown {
  const [event] = eventsOf({
    events: [],
    input: null,
    meta: null,
    scheduledAt: HOUR,
    createdAt: HOUR + 3,
    startDueAt,
    run: '01M87H6XPN00E1T06C867XZRGW',
    crons: ['0 * * * *'],
    jitter,
  });
  return (JSON.parse(event as string) as { data: unknown }).data;
}

describe('the event of a cron', () => {
  it('fires at its hour, however late the server was', () => {
    const at = '2026-11-24T10:00:00.000Z';
    expect(timerData(undefined, HOUR + 3)).toEqual({ cron: '0 * * * *', fireAt: at, scheduledAt: at });
  });

  it('fires some time after its hour where it has a jitter: when its run was due', () => {
    expect(timerData(true, HOUR + 12_345)).toMatchObject({
      fireAt: '2026-11-24T10:00:12.345Z',
      scheduledAt: '2026-11-24T10:00:00.000Z',
    });
  });
});
