import { bodyOf, param, readText, type RouteContext } from '../request.ts';
import { announceStream, openStream, outputKey, requireStreamScope, type StreamCall } from '../streams.ts';

/** One appended part. */
const MAX_PART_BYTES = 512 * 1_024;
/** A line that is longer breaks the write off, before it fills memory. */
const MAX_LINE_CHARS = 600_000;
const APPENDED_AT_ONCE = 500;

/** PUT /realtime/v1/streams/:run/:target/:stream — the first version: chunks come over HTTP. The second needs a store of the vendor's. */
export async function createStream(c: RouteContext): Promise<Response> {
  const call = await openStream(c, param(c, 'target'));
  requireStreamScope(call, 'write');
  await announceStream(call);
  c.header('x-stream-version', 'v1');
  return c.json({ version: 'v1' });
}

/**
 * POST /realtime/v1/streams/:run/:target/:stream — one value a line, as they come. A writer that lost its connection asks how far it came
 * (HEAD) and goes on from there; what it sends twice is kept once.
 */
export async function writeStream(c: RouteContext): Promise<Response> {
  const call = await openStream(c, c.req.param('target') ?? 'self');
  requireStreamScope(call, 'write');
  await announceStream(call);
  const writer = (c.req.header('x-client-id') ?? 'default').slice(0, 100);
  let index = Number(c.req.header('x-resume-from-chunk') ?? 0);
  if (!Number.isSafeInteger(index) || index < 0) index = 0;
  for await (const lines of linesOf(c)) {
    await append(call, lines, writer, index);
    index += lines.length;
  }
  return c.json({ ok: true });
}

async function append(call: StreamCall, chunks: string[], writer: string, fromIndex: number): Promise<void> {
  for (let i = 0; i < chunks.length; i += APPENDED_AT_ONCE)
    await call.channel.append(outputKey(call.name), {
      chunks: chunks.slice(i, i + APPENDED_AT_ONCE),
      writer,
      fromIndex: fromIndex + i,
    });
}

/** The body's lines as they arrive; a last one without its end counts only when the body ends by itself. */
async function* linesOf(c: RouteContext): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of bodyOf(c)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() as string;
    if (rest.length > MAX_LINE_CHARS) lines.push(rest);
    const full = lines.filter((line) => line.trim() !== '');
    if (full.length > 0) yield full;
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield [rest];
}

/** POST /realtime/v1/streams/:run/:target/:stream/append — one part, as text. The same `x-part-id` is the same part. */
export async function appendPart(c: RouteContext): Promise<Response> {
  const call = await openStream(c, param(c, 'target'));
  requireStreamScope(call, 'write');
  const part = await readText(c, MAX_PART_BYTES);
  await announceStream(call);
  const id = c.req.header('x-part-id');
  await call.channel.append(outputKey(call.name), {
    chunks: [JSON.stringify(part)],
    ...(id === undefined ? {} : { writer: `part:${id.slice(0, 100)}`, fromIndex: 0 }),
  });
  return c.json({ ok: true });
}
