import { runs, schedules } from '@trigger.dev/sdk';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { finished, SDK, useWorker, type Run } from './support.ts';

const HOUR = 3_600_000;

/** Moves the clock to the schedule's next time; the run that it starts, when it has ended. */
async function nextRunOf(context: CaseContext, id: string): Promise<Run> {
  const known = new Set((await runs.list({ schedule: id, limit: 100 })).data.map((run) => run.id));
  const { nextRun } = await schedules.retrieve(id);
  await context.clock.advance((nextRun as Date).getTime() - (await context.clock.now()));
  const run = await context.until(
    async () => (await runs.list({ schedule: id, limit: 100 })).data.find((item) => !known.has(item.id)) ?? null,
    { what: 'a run of the schedule' },
  );
  return finished(run);
}

suite({ vendor: 'trigger', name: 'schedules', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(
    ['T-52', 'T-55'],
    'one key is one schedule: made, changed, retrieved, listed, switched off and on, deleted',
    async ({ unique }) => {
      const deduplicationKey = unique('schedule');
      const made = await schedules.create({
        task: 'on-time',
        cron: '0 9 * * 1L',
        timezone: 'Europe/Stockholm',
        externalId: 'user-7',
        deduplicationKey,
      });
      expect.equal(made.type, 'IMPERATIVE');
      expect.equal(made.active, true);
      expect.equal(made.generator.expression, '0 9 * * 1L');
      // The last Monday of the month, at nine in Stockholm.
      const next = made.nextRun as Date;
      expect.equal(next.toLocaleString('sv-SE', { timeZone: 'Europe/Stockholm', timeStyle: 'short' }), '09:00');
      expect.equal(next.getUTCDay(), 1);
      expect(new Date(next.getTime() + 7 * 24 * HOUR).getUTCMonth() !== next.getUTCMonth());

      const again = await schedules.create({ task: 'on-time', cron: '0 0 L * *', deduplicationKey });
      expect.equal(again.id, made.id);
      expect.equal((await schedules.retrieve(made.id)).generator.expression, '0 0 L * *');
      const changed = await schedules.update(made.id, { task: 'on-time', cron: '*/5 * * * *', externalId: 'user-8' });
      expect.deepEqual([changed.externalId, changed.deduplicationKey], ['user-8', deduplicationKey]);
      expect.equal((await schedules.deactivate(made.id)).active, false);
      expect.equal((await schedules.activate(made.id)).active, true);
      const listed = await schedules.list({ page: 1, perPage: 100 });
      expect(listed.data.some((item) => item.id === made.id));
      expect.equal((await schedules.del(made.id)).id, made.id);
      const error = await schedules.retrieve(made.id).catch((reason: unknown) => reason);
      expect.equal((error as { status: number }).status, 404);
    },
  );

  s.case(
    ['T-52', 'T-54', 'T-55'],
    'its runs get their time, the last and the next five as dates, in their zone',
    async (context) => {
      const made = await schedules.create({
        task: 'on-time',
        cron: '30 * * * *',
        timezone: 'Asia/Kolkata',
        externalId: 'user-9',
        deduplicationKey: context.unique('schedule'),
      });
      // Not beyond it: a run that no worker takes within ten minutes expires.
      const first = await nextRunOf(context, made.id);
      const second = await nextRunOf(context, made.id);
      await schedules.del(made.id);
      const output = second.output as Record<string, unknown> & { upcoming: string[]; timestamp: string };
      expect.deepEqual(
        [output.type, output.isDate, output.externalId, output.timezone, output.scheduleId],
        ['IMPERATIVE', true, 'user-9', 'Asia/Kolkata', made.id],
      );
      expect.equal(output.last, (first.output as { timestamp: string }).timestamp);
      // Half past in Kolkata is the full hour in UTC.
      expect.match(output.timestamp, /:00:00\.000Z$/);
      expect.deepEqual(
        output.upcoming,
        [1, 2, 3, 4, 5].map((n) => new Date(Date.parse(output.timestamp) + n * HOUR).toISOString()),
      );
      expect.equal(second.schedule?.id, made.id);
      expect.equal(second.schedule?.externalId, 'user-9');
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-53', 'T-61'],
    'a schedule that the code declares is made by its registration, and fires while the worker is there',
    async (context) => {
      const listed = await schedules.list({ perPage: 100 });
      const declared = listed.data.find((item) => item.task === 'every-three-hours');
      expect.equal(declared?.type, 'DECLARATIVE');
      expect.equal(declared?.timezone, 'Asia/Tokyo');
      expect.equal(declared?.generator.expression, '0 */3 * * *');
      const run = await nextRunOf(context, declared?.id ?? '');
      expect.deepEqual(run.output, { type: 'DECLARATIVE', timezone: 'Asia/Tokyo' });
      const refused = await schedules.del(declared?.id ?? '').catch((reason: unknown) => reason);
      expect.equal((refused as { status: number }).status, 400);
    },
    { timeoutMs: 60_000 },
  );

  s.case(['T-56'], 'the time zones are listed', async () => {
    const { timezones } = await schedules.timezones();
    expect(timezones.includes('UTC') && timezones.includes('Europe/Stockholm'));
    expect.equal((await schedules.timezones({ excludeUtc: true })).timezones.includes('UTC'), false);
  });

  s.case(['T-52', 'T-55'], "crons, zones and tasks that are none are refused with the vendor's status", async () => {
    for (const more of [
      { cron: '61 * * * *' },
      { cron: '* * * * * *' },
      { timezone: 'Mars/Olympus' },
      { task: 'echo' },
      { task: 'nobody' },
    ]) {
      const error = await schedules
        .create({ task: 'on-time', cron: '* * * * *', deduplicationKey: 'bad', ...more })
        .catch((reason: unknown) => reason);
      expect.equal((error as { status: number }).status, 422, JSON.stringify(more));
    }
  });
});
