import { InngestError } from '../errors.ts';
import { readText, type RouteContext } from '../http.ts';
import { asJson, messageFrame, realtimeChannel, RAW_STREAM, type Message } from '../realtime/messages.ts';
import { MAX_TOPICS } from '../realtime/token.ts';

/** inngest/inngest: pkg/consts MaxStreamingMessageSizeBytes, StreamingChunkSize, MaxStreamingChunks */
const MAX_MESSAGE_BYTES = 512 * 1_024;
const MAX_CHUNK_CHARS = 1_024;
const MAX_CHUNKS = 1_000;
const MAX_NAME_CHARS = 512;
/** Of one request that is passed on as it is. */
const MAX_RAW_CHARS = 10_000_000;

/** POST /v1/realtime/publish?channel=&topic=&run_id= — to whoever listens now; nothing is kept. */
export async function publish(c: RouteContext): Promise<Response> {
  const channel = channelOf(c);
  const topics = [...new Set(c.req.queries('topic') ?? [])];
  if (topics.length === 0 || topics.length > MAX_TOPICS || topics.some((topic) => topic === '' || topic.length > 256))
    throw new InngestError(400, 'invalid_request', `A message names 1 to ${MAX_TOPICS} topics: ?topic=`);
  const base = {
    channel,
    environment: c.var.host.context.environment,
    runId: c.req.query('run_id') ?? null,
    createdAtMs: c.var.host.context.wallClockMs(),
  };
  const target = realtimeChannel(c, channel);
  const send = async (message: Partial<Message> & Pick<Message, 'kind'>, data: string): Promise<void> => {
    for (const topic of topics) await target.publish(topic, messageFrame({ ...base, topic, ...message }, data));
  };
  if (!c.req.header('content-type')?.startsWith('text/stream')) {
    await send({ kind: 'data' }, asJson(await readText(c, MAX_MESSAGE_BYTES)));
    return c.body(null, 200);
  }
  const streamId = crypto.randomUUID();
  await send({ kind: 'datastream-start' }, JSON.stringify(streamId));
  try {
    let chunks = 0;
    for await (const text of textOf(c)) {
      for (const chunk of pieces(text)) {
        if (++chunks > MAX_CHUNKS)
          throw new InngestError(413, 'payload_too_large', `A stream has at most ${MAX_CHUNKS} chunks of 1 KiB.`);
        await send({ kind: 'chunk', streamId }, JSON.stringify(chunk));
      }
    }
  } finally {
    await send({ kind: 'datastream-end' }, JSON.stringify(streamId));
  }
  return c.body(null, 200);
}

/** POST /v1/realtime/publish/tee?channel= — the body, as it comes, to those who read the channel over SSE. It is kept: who comes late reads it all. */
export async function tee(c: RouteContext): Promise<Response> {
  const target = realtimeChannel(c, channelOf(c));
  let chars = 0;
  for await (const text of textOf(c)) {
    chars += text.length;
    if (chars > MAX_RAW_CHARS)
      throw new InngestError(413, 'payload_too_large', `A stream has at most ${MAX_RAW_CHARS} characters.`);
    await target.append(RAW_STREAM, { chunks: [text] });
  }
  return c.body(null, 200);
}

function channelOf(c: RouteContext): string {
  const channel = c.req.query('channel') ?? '';
  if (channel === '' || channel.length > MAX_NAME_CHARS)
    throw new InngestError(
      400,
      'invalid_request',
      `A message names its channel, of ${MAX_NAME_CHARS} characters at most: ?channel=`,
    );
  return channel;
}

async function* textOf(c: RouteContext): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = c.req.raw.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const text = decoder.decode(part.value, { stream: true });
    if (text !== '') yield text;
  }
  const rest = decoder.decode();
  if (rest !== '') yield rest;
}

function* pieces(text: string): Generator<string> {
  for (let i = 0; i < text.length;) {
    let to = Math.min(text.length, i + MAX_CHUNK_CHARS);
    const last = text.charCodeAt(to - 1);
    // Not between the two halves of a character.
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    yield text.slice(i, to);
    i = to;
  }
}
