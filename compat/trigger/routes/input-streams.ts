import * as z from 'zod';
import type { CellApi, ChannelApi } from '../../../core/ports.ts';
import { requireScope } from '../auth.ts';
import { parseKeyTtl, parseMoment } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { derivedId, publicRunId } from '../ids.ts';
import { channelOf, COLLECTIONS } from '../names.ts';
import { isRecord, parseJson, type Packet } from '../packets.ts';
import { engineNow, open, readBody, requestKey, runParam, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES } from '../schema.ts';
import { at } from '../start-run.ts';
import { inputKey, openStream } from '../streams.ts';
import { completeToken, packetOfValue, readToken, TOKEN_RETENTION_MS, type Token } from '../tokens.ts';

const SendBodySchema = z.object({ data: z.unknown() });

const WaitBodySchema = z.object({
  streamId: z.string().min(1).max(512),
  timeout: z.string().max(100).optional(),
  idempotencyKey: z.string().max(2_048).optional(),
  idempotencyKeyTTL: z.string().max(20).optional(),
  tags: z.union([z.string().max(128), z.array(z.string().max(128)).max(10)]).optional(),
  lastSeqNum: z.number().int().min(0).optional(),
});

/** A run waits for the next record of one of its input streams. */
interface InputWait {
  token: string;
  /** Position after which a record counts. */
  after: number;
}

/** POST /realtime/v1/streams/:run/input/:stream — a record for the run, and the end of its wait for one. */
export async function sendInput(c: RouteContext): Promise<Response> {
  const call = await openStream(c);
  requireScope(call.access, 'write', [['inputStreams', publicRunId(call.record.id)]]);
  if (call.record.status !== 'running')
    throw new ApiError('bad_request', 'Cannot send to an input stream on a completed run');
  const { data } = await readBody(c, SendBodySchema, MAX_SMALL_BODY_BYTES);
  const id = requestKey(c);
  // Twice JSON, as the reader expects it: the record's data is text that it parses once more.
  await call.channel.append(inputKey(call.name), {
    chunks: [JSON.stringify({ id, data: JSON.stringify(data ?? null) })],
    writer: `request:${id}`,
    fromIndex: 0,
  });
  await completeWait(c, call.cell, call.channel, call.record.id, call.name);
  return c.json({ ok: true });
}

/** POST /api/v1/runs/:run/input-streams/wait — a wait token that the next record of the stream completes. */
export async function waitForInput(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c);
  const run = runParam(c);
  const body = await readBody(c, WaitBodySchema, MAX_SMALL_BODY_BYTES);
  if (!(await cell.query({ type: 'run', run }))) throw new ApiError('not_found', 'Run not found');
  const nowMs = await engineNow(c, cell);
  const timeout = body.timeout === undefined ? null : parseMoment(body.timeout);
  if (body.timeout !== undefined && timeout === null)
    throw new ApiError('invalid', `Invalid timeout: "${body.timeout}"`);
  const wanted: Token = {
    id: await derivedId('waitpoint', `input ${body.idempotencyKey ?? requestKey(c)} ${run} ${body.streamId}`),
    createdAt: nowMs,
    tags: body.tags === undefined ? [] : [body.tags].flat(),
    ...(timeout === null ? {} : { timeoutAt: at(timeout, nowMs, nowMs - c.get('host').context.wallClockMs()) }),
    ...(body.idempotencyKey === undefined
      ? {}
      : { idempotencyKey: body.idempotencyKey, idempotencyKeyExpiresAt: nowMs + parseKeyTtl(body.idempotencyKeyTTL) }),
  };
  const wait: InputWait = { token: wanted.id, after: body.lastSeqNum === undefined ? 0 : body.lastSeqNum + 1 };
  const expiresAt = nowMs + TOKEN_RETENTION_MS;
  const [put] = await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.waitpoints,
      id: wanted.id,
      data: JSON.stringify(wanted),
      ifAbsent: true,
      expiresAt,
    },
    {
      type: 'put-record',
      collection: COLLECTIONS.inputWaits,
      id: waitId(run, body.streamId),
      data: JSON.stringify(wait),
      expiresAt,
    },
  ]);
  // A record may have come before the wait: whoever of the two is later finds the other.
  await completeWait(c, cell, c.get('host').channel(access.environment, channelOf.run(run)), run, body.streamId);
  return c.json({ waitpointId: wanted.id, isCached: put?.type === 'put-record' && !put.written });
}

const waitId = (run: string, stream: string): string => `${run}/${stream}`;

/** Completes the token that waits for the stream with the first record after its position, if there is one. Done twice, it changes nothing. */
async function completeWait(
  c: RouteContext,
  cell: CellApi,
  channel: ChannelApi,
  run: string,
  stream: string,
): Promise<void> {
  const id = waitId(run, stream);
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.inputWaits, id });
  const wait = record === null ? null : (parseJson(record.data) as InputWait);
  if (!wait) return;
  const [chunk] = (await channel.read(inputKey(stream), { after: wait.after, waitMs: 0, max: 1 })).chunks;
  const token = chunk === undefined ? null : await readToken(cell, wait.token);
  if (chunk === undefined || token === null) return;
  await completeToken(cell, token, packetOf(chunk.data), await engineNow(c, cell));
  await cell.apply([{ type: 'delete-record', collection: COLLECTIONS.inputWaits, id }]);
}

function packetOf(chunk: string): Packet {
  const record = parseJson(chunk);
  return packetOfValue(isRecord(record) && typeof record.data === 'string' ? parseJson(record.data) : undefined);
}
