import { Inngest } from 'inngest';
import { serve } from 'inngest/edge';
import { createModelStub } from '../../examples/inngest-ai-pipeline/model-stub.ts';
import { createPipeline } from '../../examples/inngest-ai-pipeline/pipeline.ts';
import { createDrip } from '../../examples/inngest-signup-drip/drip.ts';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import type { RunView } from './apps.ts';
import { fail } from './apps.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Running {
  client: Inngest.Any;
  send(name: string, data: object): Promise<string>;
  runOf(event: string): Promise<RunView>;
}

/** Serves an example's functions under an app of their own, and registers them. */
async function start(context: CaseContext, functionsOf: (client: Inngest.Any) => unknown[]): Promise<Running> {
  const client = new Inngest({
    id: context.unique('example'),
    baseUrl: context.url,
    isDev: true,
    logger: quiet,
  } as never);
  const handler = serve({ client, functions: functionsOf(client) } as never) as (request: Request) => Promise<Response>;
  const served = await context.serveHttp(handler);
  expect.equal((await fetch(`${served.url}/api/inngest`, { method: 'PUT' })).status, 200);
  context.onCleanup(() =>
    fetch(new URL(`/fn/remove?url=${encodeURIComponent(`${served.url}/api/inngest`)}`, context.url), {
      method: 'DELETE',
    }),
  );
  return {
    client,
    async send(name, data) {
      const { ids } = await client.send({ name, data } as never);
      return ids[0] ?? fail('no id');
    },
    async runOf(event) {
      const response = await fetch(new URL(`/v1/events/${event}/runs`, context.url));
      const { data } = (await response.json()) as { data: RunView[] };
      return data[0] ?? fail('no run');
    },
  };
}

suite({ vendor: 'inngest', name: 'examples', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(
    ['I-26', 'I-27', 'I-50', 'I-51', 'I-53', 'I-55', 'I-57'],
    'sign-up drip: reminded, activated, unsubscribed; two mails a minute; opens counted together',
    async (context) => {
      const sent: string[] = [];
      const times = new Map<string, number>();
      const opened: string[][] = [];
      const app = await start(context, (client) =>
        createDrip(client, {
          async send({ to, template }) {
            const mail = `${to.slice(0, to.indexOf('@'))} ${template}`;
            sent.push(mail);
            times.set(mail, await context.clock.now());
          },
          opened: (users) => Promise.resolve(void opened.push(users)),
        }),
      );
      const person = (userId: string): object => ({ userId, email: `${userId}@example.com` });
      const [lazy, eager, gone] = ['lazy', 'eager', 'gone'].map((name) => context.unique(name)) as [
        string,
        string,
        string,
      ];
      const began = await context.clock.now();
      const lazyEvent = await app.send('user/signed.up', person(lazy));
      const eagerEvent = await app.send('user/signed.up', person(eager));
      const goneEvent = await app.send('user/signed.up', person(gone));
      await app.send('user/signed.up', person(lazy));
      await context.clock.idle();
      expect.deepEqual(sent, [`${lazy} welcome`, `${eager} welcome`]);
      await context.clock.advance(2 * MINUTE_MS);
      expect.deepEqual(sent.slice(2), [`${gone} welcome`]);
      expect.equal((times.get(`${gone} welcome`) ?? 0) - began >= 29_000, true);

      for (const user of [lazy, eager]) await app.send('mail/opened', { userId: user });
      await app.send('project/created', { userId: eager });
      await app.send('user/unsubscribed', person(gone));
      await context.clock.advance(2 * MINUTE_MS);
      expect.deepEqual(sent.slice(3), [`${gone} goodbye`]);
      expect.equal((await app.runOf(goneEvent)).status, 'Cancelled');
      await context.clock.advance(61 * MINUTE_MS);
      expect.deepEqual(opened, [[lazy, eager]]);

      await context.clock.advance(11 * DAY_MS);
      expect.deepEqual(sent.slice(4), [`${lazy} reminder`, `${eager} tips`, `${lazy} tips`]);
      expect.deepEqual((await app.runOf(lazyEvent)).output, { activated: false });
      expect.deepEqual((await app.runOf(eagerEvent)).output, { activated: true });
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['I-31', 'I-39', 'I-40', 'I-41'],
    'AI pipeline: fetched, classified by a model that is busy at first, drafted in parallel, approved or not',
    async (context) => {
      const stub = createModelStub();
      const model = await context.serveHttp((request) => stub.handle(request));
      const letters = await context.serveHttp((request) => {
        const { pathname } = new URL(request.url);
        if (pathname === '/none') return new Response('', { status: 404 });
        return new Response(pathname === '/angry' ? 'my samovar is broken again' : 'what lovely tea');
      });
      const app = await start(context, (client) =>
        createPipeline(client, { baseUrl: `${model.url}/v1/`, apiKey: 'stub-key' }),
      );
      const calm = await app.send('letter/received', { url: `${letters.url}/kind` });
      await context.clock.idle();
      expect.deepEqual(stub.asked, []);
      await context.clock.advance(MINUTE_MS);
      expect.deepEqual((await app.runOf(calm)).output, { topic: 'praise', urgent: false, draft: null });

      const angry = `${letters.url}/angry`;
      const approved = await app.send('letter/received', { url: angry });
      await context.clock.idle();
      expect.deepEqual(stub.asked.slice(1).sort(), [
        'answer: my samovar is broken again',
        'classify: my samovar is broken again',
        'sum up: my samovar is broken again',
      ]);
      await app.send('draft/approved', { letter: angry });
      await context.clock.idle();
      expect.deepEqual((await app.runOf(approved)).output, {
        topic: 'repair',
        urgent: true,
        draft: 'Dear customer, about "my samovar is broken again": we are sorry.',
        summary: 'my samovar is',
        sent: true,
      });

      const forgotten = await app.send('letter/received', { url: angry });
      await context.clock.idle();
      await context.clock.advance(2 * DAY_MS);
      expect.equal(((await app.runOf(forgotten)).output as { sent: boolean }).sent, false);
      const missing = await app.send('letter/received', { url: `${letters.url}/none` });
      await context.clock.idle();
      expect.equal((await app.runOf(missing)).status, 'Failed');
    },
  );
});
