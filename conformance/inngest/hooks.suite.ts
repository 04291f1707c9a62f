import { fileURLToPath } from 'node:url';
import { Inngest } from 'inngest';
import { getSubscriptionToken } from 'inngest/realtime';
import type { Browser } from 'playwright-core';
import { openPage, seenBy, startBrowser } from '../harness/browser.ts';
import { expect, suite } from '../harness/index.ts';

const APP = fileURLToPath(new URL('./hooks-app/app.js', import.meta.url));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Given {
  connectionStatus: string;
  all: Array<{ topic: string; data: unknown }>;
}

let browser: Browser | undefined;

suite({ vendor: 'inngest', name: 'the hook in a browser', sdk: 'inngest 4.24.0 (inngest/react)' }, (s) => {
  s.afterAll(async () => {
    await browser?.close();
  });

  s.case(
    ['I-47', 'I-46', 'I-7'],
    'useRealtime shows, on a page of another origin, what is published to its topics, in order',
    async (context) => {
      browser = await startBrowser();
      const client = new Inngest({
        id: context.unique('hook'),
        baseUrl: context.url,
        isDev: true,
        logger: quiet,
      } as never);
      const channel = context.unique('hooked');
      const topics = ['news', 'status'];
      const token = await getSubscriptionToken(client as never, { channel, topics } as never);
      const page = await openPage(context, browser, APP, { channel, topics, token });
      const given = async (isReached: (last: Given) => boolean, what: string): Promise<Given> =>
        context.until(
          async () => {
            const { last, error } = await seenBy<Given>(page, 'realtime');
            if (error !== undefined) throw new Error(error);
            return last && isReached(last) ? last : null;
          },
          { what, timeoutMs: 15_000 },
        );
      await given(({ connectionStatus }) => connectionStatus === 'open', 'the connection');
      const publish = (topic: string, data: unknown): Promise<void> =>
        client.realtime.publish({ channel, topic, config: {} } as never, data as never);
      await publish('news', { n: 1 });
      await publish('status', 'busy');
      await publish('other', 'not for this page');
      await publish('news', { n: 2 });
      const { all } = await given((last) => last.all.length >= 3, 'the messages');
      expect.deepEqual(all, [
        { topic: 'news', data: { n: 1 } },
        { topic: 'status', data: 'busy' },
        { topic: 'news', data: { n: 2 } },
      ]);
      await page.close();
    },
    { timeoutMs: 60_000 },
  );
});
