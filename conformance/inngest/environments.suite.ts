import { Inngest } from 'inngest';
import { serve } from 'inngest/edge';
import { expect, suite } from '../harness/index.ts';

suite({ vendor: 'inngest', name: 'environments', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(
    ['I-16'],
    'an app that names its branch gets the events of that branch only, its runs and its sleeps are there',
    async ({ url, unique, serveHttp, until, clock }) => {
      const id = unique('branch-app');
      const seen: string[] = [];
      const clientFor = (env?: string): Inngest =>
        new Inngest({ id, isDev: true, baseUrl: url, eventKey: 'local', ...(env === undefined ? {} : { env }) });
      const appFor = async (env?: string): Promise<void> => {
        const client = clientFor(env);
        const fn = client.createFunction(
          { id: 'note', triggers: [{ event: `${id}/noted` }] },
          async ({ event, step }) => {
            await step.sleep('a while', '1h');
            seen.push(`${env ?? 'default'}:${String(event.data.n)}`);
          },
        );
        const app = await serveHttp(serve({ client, functions: [fn] }));
        const synced = await fetch(`${app.url}/api/inngest`, { method: 'PUT' });
        expect.equal(synced.status, 200, await synced.text());
      };
      await appFor('feature/one');
      await appFor();
      await clientFor('feature/one').send({ name: `${id}/noted`, data: { n: 1 } });
      await clientFor().send({ name: `${id}/noted`, data: { n: 2 } });
      await clientFor('feature/two').send({ name: `${id}/noted`, data: { n: 3 } });
      await clock.idle();
      await clock.advance(3_600_000);
      await until(() => seen.length === 2, { what: 'both functions to run' });
      expect.deepEqual(seen.toSorted(), ['default:2', 'feature/one:1']);
    },
  );
});
