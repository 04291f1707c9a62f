import { schedules } from '@trigger.dev/sdk';

/** Started by schedules that are made over the API. */
export const onTime = schedules.task({
  id: 'on-time',
  run: async (payload, { ctx }) => ({
    type: payload.type,
    isDate: payload.timestamp instanceof Date && payload.upcoming.every((at) => at instanceof Date),
    timestamp: payload.timestamp.toISOString(),
    last: payload.lastTimestamp?.toISOString() ?? null,
    externalId: payload.externalId ?? null,
    timezone: payload.timezone,
    upcoming: payload.upcoming.map((at) => at.toISOString()),
    scheduleId: payload.scheduleId,
    run: ctx.run.id,
  }),
});

/** Declared in the code. */
export const everyThreeHours = schedules.task({
  id: 'every-three-hours',
  cron: { pattern: '0 */3 * * *', timezone: 'Asia/Tokyo' },
  run: async (payload) => ({ type: payload.type, timezone: payload.timezone }),
});
