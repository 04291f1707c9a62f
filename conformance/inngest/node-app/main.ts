// An app of the TypeScript SDK in a process of its own, as ../languages.ts drives it: the same functions as ../go-app has.
import { json } from 'node:stream/consumers';
import { serveNode } from '../../harness/serve.ts';
import { loadSdk } from './sdk.ts';

const {
  APP_ID: id = '',
  APP_EVENTS: prefix = '',
  APP_SDK: sdkName = '',
  APP_FRAMEWORK: framework = 'node',
} = process.env;
const ran: string[] = [];
const sdk = await loadSdk(sdkName);

interface Context {
  step: {
    run<T>(id: string, body: () => T | Promise<T>): Promise<T>;
    sleep(id: string, time: string): Promise<void>;
    waitForEvent(id: string, options: object): Promise<{ data: Record<string, unknown> } | null>;
    invoke(id: string, options: object): Promise<unknown>;
    sendEvent(id: string, event: object): Promise<{ ids: string[] }>;
  };
  event: { data: Record<string, unknown> };
  events: unknown[];
  attempt: number;
  error?: Error;
}

const verbose = process.env['APP_VERBOSE'] !== undefined;
const write = (...args: unknown[]): void => console.error(...args);
const quiet = (): void => {};
const client = sdk.client({
  id,
  logger: { debug: verbose ? write : quiet, info: verbose ? write : quiet, warn: write, error: write },
  checkpointing: process.env['APP_CHECKPOINT'] !== undefined,
});

const functions = new Map<string, unknown>();

function define(name: string, body: (context: Context) => unknown, options: object = {}): void {
  const triggers = [{ event: prefix + name }];
  functions.set(
    name,
    sdk.version === 4
      ? client.createFunction({ id: name, triggers, ...options }, body)
      : client.createFunction({ id: name, ...options }, triggers[0], body),
  );
}

const note = (text: string): string => {
  ran.push(text);
  return text;
};

define('three', async ({ step, event, attempt }) => {
  const a = await step.run('a', () => (note('a'), event.data['n'] as number));
  const b = await step.run('b', () => {
    note(`b${attempt}`);
    if (attempt === 0) throw new Error('once');
    return a + 1;
  });
  const c = await step.run('c', () => (note(`c${attempt}`), b * 2));
  return { a, b, c, text: 'é😀' };
});

define('sleeper', async ({ step }) => {
  await step.sleep('nap', '30d');
  return 'awake';
});

define('waiter', async ({ step }) => {
  const options = { event: `${prefix}answer`, if: 'event.data.order == async.data.order', timeout: '1h' };
  const event = await step.waitForEvent('w', options);
  return event?.data['n'] ?? null;
});

define(
  'child',
  ({ event }) => {
    const n = event.data['n'] as number;
    if (n < 0) throw new Error('negative');
    return n * 2;
  },
  { retries: 0 },
);

define('parent', async ({ step, event }) => {
  const target = functions.get('child');
  const doubled = await step.invoke('i', { function: target, data: { n: event.data['n'] } });
  try {
    await step.invoke('j', { function: target, data: { n: -1 } });
    return 'never';
  } catch (error) {
    return { doubled, error: (error as Error).message };
  }
});

define('fan', async ({ step }) => {
  const parts = await Promise.all(['a', 'b', 'c'].map((name) => step.run(name, () => note(name))));
  return await step.run('join', () => (note('join'), `${parts.join('')}!`));
});

define(
  'broken',
  ({ attempt }) => {
    note(`try${attempt}`);
    throw new Error('broken for good');
  },
  { retries: 1, onFailure: ({ error }: Context) => void note(`told ${error?.message}`) },
);

define('never', () => {
  note('once');
  throw new sdk.NonRetriableError('no use');
});

define('sender', async ({ step }) => {
  const { ids } = await step.sendEvent('s', { name: `${prefix}child`, data: { n: 4 } });
  return ids[0];
});

define('slow', async ({ step, event }) => {
  const before = await step.run('before', () => note('before'));
  const middle = await step.run('slow', async () => {
    note('slow');
    await new Promise((resolve) => setTimeout(resolve, event.data['ms'] as number));
    return process.env['APP_INSTANCE'] ?? '';
  });
  const after = await step.run('after', () => note('after'));
  return [before, middle, after];
});

define(
  'cancelled',
  async ({ step }) => {
    await step.waitForEvent('w', { event: `${prefix}nothing`, timeout: '1h' });
    return 'waited';
  },
  { cancelOn: [{ event: `${prefix}stop`, if: 'event.data.order == async.data.order' }] },
);

define('policies', ({ event }) => event.data['n'], {
  concurrency: [{ limit: 5, key: 'event.data.n' }],
  throttle: { limit: 10, period: '1m', burst: 2, key: 'event.data.n' },
  rateLimit: { limit: 100, period: '1h', key: 'event.data.n' },
  priority: { run: 'event.data.n' },
  timeouts: { start: '1h', finish: '2h' },
  singleton: { mode: 'skip', key: 'event.data.n' },
});

define('debounced', ({ event }) => event.data['n'], {
  debounce: { period: '5s', timeout: '1m', key: 'event.data.order' },
});

define('batched', ({ events }) => events.length, {
  batchEvents: { maxSize: 2, timeout: '10s', key: 'event.data.order' },
});

const all = { client, functions: [...functions.values()] };
let worker: { state: string; close(): Promise<void> } | undefined;
if (process.env['APP_CONNECT'] !== undefined) {
  const { APP_INSTANCE: instanceId, APP_CONCURRENCY: limit } = process.env;
  worker = await sdk.connect?.({
    apps: [all],
    ...(instanceId === undefined ? {} : { instanceId }),
    ...(limit === undefined ? {} : { maxWorkerConcurrency: Number(limit) }),
  });
}
const serve = worker ? null : await sdk.serve(framework, { ...all, logLevel: 'silent' });

const served = await serveNode((request, response) => {
  const answer = (value: unknown): void => void response.end(JSON.stringify(value));
  if (request.url === '/log') answer(ran);
  else if (request.url === '/state') answer(worker?.state.toLowerCase());
  else if (request.url === '/send') {
    json(request)
      .then((event) => client.send(event))
      .then(
        ({ ids }) => answer(ids),
        (error: unknown) => {
          response.statusCode = 502;
          response.end(String(error));
        },
      );
  } else if (serve) serve(request, response);
  else response.writeHead(404).end();
});
console.log(JSON.stringify({ port: served.port }));
process.once('SIGTERM', () => {
  const closed = worker?.close() ?? Promise.resolve();
  void closed.finally(() => process.exit(0));
});
