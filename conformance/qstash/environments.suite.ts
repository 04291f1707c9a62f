import { Client, Receiver } from '@upstash/qstash';
import { expect, suite } from '../harness/index.ts';
import { furtherEnvironment } from '../harness/further-environment.ts';
import { clientOf, destination, receiverOf } from './support.ts';

suite({ vendor: 'qstash', name: 'environments', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-1', 'Q-3', 'Q-26'],
    "a token of a further environment publishes there: signed with that environment's keys, unseen by another token, delayed by the same clock",
    async (context) => {
      const { url, clock, until } = context;
      const keys = await furtherEnvironment(url);
      const client = new Client({
        baseUrl: url,
        token: keys.QSTASH_TOKEN as string,
        retry: false,
        enableTelemetry: false,
      });
      const app = await destination(context);
      const { messageId } = await client.publish({ url: app.url, body: 'theirs', delay: '30d' });
      await expect.rejects(clientOf(context).messages.get(messageId), /not found|404/i);
      expect.equal((await client.messages.get(messageId)).messageId, messageId);
      await clock.advance(30 * 86_400_000);
      await until(() => app.received.length === 1, { what: 'the delivery' });
      const [delivered] = app.received;
      const signature = delivered?.headers.get('upstash-signature') ?? '';
      const own = new Receiver({
        currentSigningKey: keys.QSTASH_CURRENT_SIGNING_KEY as string,
        nextSigningKey: keys.QSTASH_NEXT_SIGNING_KEY as string,
      });
      expect.equal(await own.verify({ signature, body: 'theirs' }), true);
      await expect.rejects(receiverOf(context).verify({ signature, body: 'theirs' }));
    },
  );

  s.case(['Q-41', 'Q-47'], 'queues and URL groups of one environment are not those of another', async (context) => {
    const keys = await furtherEnvironment(context.url);
    const theirs = new Client({ baseUrl: context.url, token: keys.QSTASH_TOKEN as string, retry: false });
    const ours = clientOf(context);
    const name = context.unique('queue');
    await theirs.queue({ queueName: name }).upsert({ parallelism: 7 });
    expect.equal((await theirs.queue({ queueName: name }).get()).parallelism, 7);
    await expect.rejects(ours.queue({ queueName: name }).get(), /not found|404/i);
    await theirs.urlGroups.addEndpoints({ name, endpoints: [{ url: 'https://example.com/' }] });
    expect.equal((await theirs.urlGroups.get(name)).endpoints.length, 1);
    await expect.rejects(ours.urlGroups.get(name), /not found|404/i);
  });
});
