import { type Inngest, NonRetriableError } from 'inngest';

export interface Mail {
  to: string;
  template: 'welcome' | 'reminder' | 'tips' | 'goodbye';
}

export interface Mailer {
  send(mail: Mail): Promise<void>;
  /** Opens of one hour, or of twenty mails, together. */
  opened(userIds: string[]): Promise<void>;
}

/**
 * What a newcomer hears of us: a welcome, a reminder unless they have made something within three days, tips a week later. Who unsubscribes
 * hears nothing more. Mail goes out through one function, so that the provider's bound on a minute is kept in one place.
 */
export function createDrip(inngest: Inngest.Any, mailer: Mailer) {
  const drip = inngest.createFunction(
    {
      id: 'welcome-drip',
      triggers: [{ event: 'user/signed.up' }],
      // The same person signing up twice in a day is one newcomer.
      idempotency: 'event.data.userId',
      cancelOn: [{ event: 'user/unsubscribed', match: 'data.userId' }],
    },
    async ({ event, step }) => {
      const { userId, email } = event.data as { userId: string; email: string };
      const mail = (template: Mail['template']): Promise<unknown> =>
        step.sendEvent(`mail-${template}`, { name: 'mail/requested', data: { userId, to: email, template } });

      await mail('welcome');
      const made = await step.waitForEvent('made-something', {
        event: 'project/created',
        match: 'data.userId',
        timeout: '3d',
      });
      if (made === null) await mail('reminder');
      await step.sleep('a-week', '7d');
      await mail('tips');
      return { activated: made !== null };
    },
  );

  const goodbye = inngest.createFunction(
    {
      id: 'goodbye',
      triggers: [{ event: 'user/unsubscribed' }],
      singleton: { mode: 'skip', key: 'event.data.userId' },
    },
    async ({ event, step }) => {
      const { userId, email } = event.data as { userId: string; email: string };
      await step.sendEvent('mail', { name: 'mail/requested', data: { userId, to: email, template: 'goodbye' } });
    },
  );

  const send = inngest.createFunction(
    {
      id: 'send-mail',
      triggers: [{ event: 'mail/requested' }],
      retries: 3,
      throttle: { limit: 2, period: '1m' },
      concurrency: { limit: 1, key: 'event.data.to' },
      priority: { run: "event.data.template == 'goodbye' ? 600 : 0" },
    },
    async ({ event, step }) => {
      const { to, template } = event.data as { to: string; template: Mail['template'] };
      if (!to.includes('@')) throw new NonRetriableError(`"${to}" is no address`);
      await step.run('deliver', () => mailer.send({ to, template }));
    },
  );

  const opens = inngest.createFunction(
    { id: 'count-opens', triggers: [{ event: 'mail/opened' }], batchEvents: { maxSize: 20, timeout: '3600s' } },
    async ({ events, step }) => {
      const users = events.map((event) => (event.data as { userId: string }).userId);
      await step.run('count', () => mailer.opened(users));
      return users.length;
    },
  );

  return [drip, goodbye, send, opens];
}
