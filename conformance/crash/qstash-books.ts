import type { Books } from './load.ts';

type Ask = (path: string) => Promise<{ status: number; body: unknown }>;

/** How a message's or a run's life ends, by the last word of its log. */
const ENDS: Record<string, string> = {
  DELIVERED: 'delivered',
  FAILED: 'dead',
  CANCELED: 'cancelled',
  RUN_SUCCESS: 'delivered',
  RUN_FAILED: 'dead',
  RUN_CANCELED: 'cancelled',
};

interface LogEvent {
  state: string;
  messageId: string;
  workflowRunId: string;
}

/** Every page of a list. */
async function all<T>(ask: Ask, path: string, field: string): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const { status, body } = await ask(cursor === undefined ? path : `${path}&cursor=${encodeURIComponent(cursor)}`);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body).slice(0, 200)}`);
    const page = body as Record<string, unknown> & { cursor?: string };
    items.push(...(page[field] as T[]));
    ({ cursor } = page);
  } while (cursor !== undefined);
  return items;
}

interface Life {
  begun: number;
  ends: string[];
}

/** How often each was begun and has ended, and how. */
function livesOf(events: Array<{ id: string; state: string }>, begins: string): Map<string, Life> {
  const lives = new Map<string, Life>();
  for (const { id, state } of events) {
    const end = ENDS[state];
    if (state !== begins && end === undefined) continue;
    const life = lives.get(id) ?? { begun: 0, ends: [] };
    lives.set(id, life);
    if (end === undefined) life.begun++;
    else life.ends.push(end);
  }
  return lives;
}

/** The equation, from all that the server has, whether its acknowledgement was heard or not. */
async function balance(
  what: string,
  lives: Map<string, Life>,
  acknowledged: string[],
  isPending: (id: string) => Promise<boolean>,
  letters: string[],
): Promise<Books> {
  const counts = { delivered: 0, pending: 0, dead: 0, cancelled: 0 };
  const failures: string[] = [];
  for (const id of acknowledged) if (!lives.has(id)) failures.push(`${id} was acknowledged and is in no book`);
  const kept = new Map<string, number>();
  for (const id of letters) kept.set(id, (kept.get(id) ?? 0) + 1);
  for (const [id, { begun, ends }] of lives) {
    const end = (ends[0] ?? 'pending') as keyof typeof counts;
    counts[end]++;
    if (begun !== 1 || ends.length > 1) failures.push(`${id}: begun ${begun} times, ended: ${ends.join(', ')}`);
    else if (end === 'pending' && !(await isPending(id))) failures.push(`${id} has not ended and is not there`);
    if ((kept.get(id) ?? 0) !== (end === 'dead' ? 1 : 0))
      failures.push(`${id}: ${end}, ${kept.get(id) ?? 0} dead letters`);
    kept.delete(id);
  }
  for (const id of kept.keys()) failures.push(`${id} is a dead letter of nothing`);
  const sum = Object.values(counts).reduce((a, b) => a + b, 0);
  if (sum !== lives.size) failures.push(`${lives.size} ${what} are ${sum}`);
  const terms = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  return { title: `qstash: ${what} ${lives.size} = ${terms.join(' + ')}`, failures };
}

/** Messages, callbacks among them. */
export async function messageBooks(ask: Ask, acknowledged: string[]): Promise<Books> {
  const events = await all<LogEvent>(ask, '/v2/logs?count=1000', 'logs');
  const letters = await all<{ messageId: string }>(ask, '/v2/dlq?count=100', 'messages');
  return balance(
    'published',
    livesOf(
      events.map(({ messageId, state }) => ({ id: messageId, state })),
      'CREATED',
    ),
    acknowledged,
    async (id) => (await ask(`/v2/messages/${id}`)).status === 200,
    letters.map(({ messageId }) => messageId),
  );
}

export async function workflowBooks(ask: Ask, acknowledged: string[]): Promise<Books> {
  const states = 'RUN_STARTED,RUN_SUCCESS,RUN_FAILED,RUN_CANCELED';
  const events = await all<LogEvent>(ask, `/v2/workflows/logs?count=1000&state=${states}`, 'events');
  const letters = await all<{ workflowRunId: string }>(ask, '/v2/workflows/dlq?count=100', 'messages');
  return balance(
    'workflow runs started',
    livesOf(
      events.map(({ workflowRunId, state }) => ({ id: workflowRunId, state })),
      'RUN_STARTED',
    ),
    acknowledged,
    async (id) => (await ask(`/v2/workflows/runs/${id}`)).status === 200,
    letters.map(({ workflowRunId }) => workflowRunId),
  );
}
