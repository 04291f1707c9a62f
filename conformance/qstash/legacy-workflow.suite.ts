import { Client, Receiver } from '@upstash/qstash';
import { serve, type WorkflowContext } from '@upstash/qstash/workflow';
import { expect, suite } from '../harness/index.ts';
import { clientOf, destination } from './support.ts';

suite({ vendor: 'qstash', name: 'legacy workflow', sdk: '@upstash/qstash 2.12.0 /workflow' }, (s) => {
  s.case(
    ['Q-82', 'Q-60', 'Q-64', 'Q-65', 'Q-66', 'Q-76'],
    'the older workflow client runs, sleeps, calls, fans out and handles its failure',
    async (context) => {
      const third = await destination(context, () => Response.json({ third: 'party' }));
      const ran: string[] = [];
      const failures: unknown[] = [];
      const { url, environment } = context;
      const options = {
        qstashClient: new Client({ baseUrl: url, token: environment.qstashToken, retry: false }),
        receiver: new Receiver({
          currentSigningKey: environment.qstashCurrentSigningKey,
          nextSigningKey: environment.qstashNextSigningKey,
        }),
        retries: 0,
        failureFunction: async (
          failed: WorkflowContext<{ n: number }>,
          status: number,
          response: string,
        ): Promise<void> => {
          failures.push([failed.headers.get('x-user'), status, response]);
        },
      };
      const route = async (w: WorkflowContext<{ n: number }>): Promise<void> => {
        const one = await w.run('one', () => (ran.push('one'), w.requestPayload.n + 1));
        await w.sleep('nap', 3_600);
        const [a, b] = await Promise.all([w.run('a', () => (ran.push('a'), 1)), w.run('b', () => (ran.push('b'), 2))]);
        const answer = await w.call<{ third: string }>('call', third.url, 'POST', { sum: one + a + b });
        await w.run('last', () => {
          ran.push(`last ${answer.third}`);
          throw new Error('the end');
        });
      };
      const handler = serve(route, options as never) as unknown as (request: Request) => Promise<Response>;
      const app = await context.serveHttp((request) => handler(request));
      await clientOf(context).publishJSON({ url: `${app.url}/legacy`, body: { n: 1 }, headers: { 'x-user': 'u1' } });
      await context.until(() => ran.length === 1);
      await context.clock.idle();
      await context.clock.advance(3_605_000);
      await context.until(() => failures.length === 1);
      expect.deepEqual([...ran.slice(0, 3)].sort(), ['a', 'b', 'one']);
      expect.deepEqual(ran.slice(3), ['last party']);
      expect.deepEqual(third.bodies(), ['{"sum":5}']);
      expect.deepEqual(failures, [['u1', 500, 'the end']]);
    },
  );
});
