import * as z from 'zod';
import type { StreamChunk } from '../../../core/model/channel.ts';
import { untilEnded } from '../../../core/channel/run-end.ts';
import { InngestError } from '../errors.ts';
import { readJson, type RouteContext } from '../http.ts';
import { RAW_STREAM, RAW_TOPIC, realtimeChannel } from '../realtime/messages.ts';
import { REALTIME_PROTOCOL } from '../realtime/protocol.ts';
import { issueRealtimeToken, MAX_TOPICS, readRealtimeToken, TopicSchema, type Topic } from '../realtime/token.ts';
import { explain } from '../schema.ts';

const MAX_BODY_BYTES = 65_536;
const TopicsSchema = z.array(TopicSchema).min(1).max(MAX_TOPICS);

/** POST /v1/realtime/token — a short-lived token for topics of one channel. */
export async function createToken(c: RouteContext): Promise<Response> {
  const parsed = TopicsSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `Expected a list of topics: ${explain(parsed.error)}.`);
  requireOneChannel(parsed.data);
  return c.json({ jwt: await issueRealtimeToken(c.var.host.context, parsed.data) }, 201);
}

/** GET /v1/realtime/connect?token= — a WebSocket with what is published to the token's topics from now on. */
export async function connect(c: RouteContext): Promise<Response> {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket')
    throw new InngestError(426, 'upgrade_required', 'A WebSocket upgrade is expected here.');
  const topics = await topicsOf(c);
  const channel = requireOneChannel(topics);
  return realtimeChannel(c, channel).connect(c.req.raw, {
    protocol: REALTIME_PROTOCOL,
    topics: topics.map(({ name }) => name),
    data: JSON.stringify({ channel }),
  });
}

/** The vendor's cap of one connection. */
const MAX_SSE_MS = 900_000;
const READ_MS = 15_000;
/** A run's end may be known before the last bytes that its app sent have come: for so long they are waited for. */
const LINGER_MS = 2_000;
/** The event that ends a stream for its reader (npm inngest: experimental/durable-endpoints/client). */
const LAST_EVENT = 'event: inngest.response';

/** GET /v1/realtime/sse?token= — a run's raw bytes, which are events already: all so far, and what comes until the run has ended. */
export async function events(c: RouteContext): Promise<Response> {
  const topics = await topicsOf(c);
  const run = topics.find(({ name }) => name === RAW_TOPIC)?.channel;
  if (run === undefined)
    throw new InngestError(400, 'invalid_request', `The token is not for the raw stream of a run ("${RAW_TOPIC}").`);
  const channel = realtimeChannel(c, run);
  const encoder = new TextEncoder();
  const deadline = Date.now() + MAX_SSE_MS;
  let after = 0;
  let isOver = false;
  let isWanted = true;
  let tail = '';
  let isComplete = false;
  const { isEnding } = c.var.host;
  const never = (): Promise<void> => new Promise(() => {});
  const over = untilEnded(channel, run, () => isWanted && !isEnding()).then(() => {
    // Only a run's own end is one.
    if (isEnding()) return never();
    isOver = true;
  }, never);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const wasOver = isOver;
      const reading = channel.read(RAW_STREAM, { after, waitMs: !wasOver ? READ_MS : isComplete ? 0 : LINGER_MS });
      const page = wasOver ? await reading : await Promise.race([reading, over]);
      if (!page) return this.pull?.(controller);
      if (page.chunks.length > 0) {
        after = (page.chunks.at(-1) as StreamChunk).seq;
        const text = page.chunks.map(({ data }) => data).join('');
        tail += text;
        isComplete ||= tail.includes(LAST_EVENT);
        tail = tail.slice(-LAST_EVENT.length);
        controller.enqueue(encoder.encode(text));
      } else if (!wasOver && isEnding()) {
        isWanted = false;
        controller.error(new Error('the server is ending'));
      } else if (wasOver || Date.now() >= deadline) {
        isWanted = false;
        controller.close();
      } else controller.enqueue(encoder.encode(':\n\n'));
    },
    cancel() {
      isWanted = false;
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'access-control-expose-headers': 'Content-Type',
    },
  });
}

async function topicsOf(c: RouteContext): Promise<Topic[]> {
  const bearer = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  const topics = await readRealtimeToken(c.var.host.context, c.req.query('token') ?? bearer ?? '');
  if (!topics || topics.length === 0)
    throw new InngestError(401, 'unauthorized', 'The token is missing, not genuine or too old: ask for a new one.');
  return topics;
}

/** What is published to a channel meets its listeners in one place. */
function requireOneChannel(topics: readonly Topic[]): string {
  const [channel, ...more] = new Set(topics.map((topic) => topic.channel));
  if (channel === undefined || more.length > 0)
    throw new InngestError(
      400,
      'invalid_request',
      'A token is for topics of one channel: ask for one for each channel.',
    );
  return channel;
}
