import type { CellApi } from '../../../core/ports.ts';
import { parseKeyTtl } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { derivedId } from '../ids.ts';
import { COLLECTIONS } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, readBody, requestKey, runParam, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, WaitDurationBodySchema } from '../schema.ts';
import { attemptOf } from '../start-run.ts';
import { writeWaitMeta } from '../waitpoints.ts';

/** POST /engine/v1/runs/:run/wait/duration — `wait.for` and `wait.until` of more than 5 s. */
export async function waitDuration(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const run = runParam(c);
  const body = await readBody(c, WaitDurationBodySchema, MAX_SMALL_BODY_BYTES);
  const givenMs = Date.parse(body.date);
  if (Number.isNaN(givenMs)) throw new ApiError('bad_request', `Invalid date: "${body.date}"`);
  const [nowMs, detail] = await Promise.all([engineNow(c, cell), cell.query({ type: 'run-detail', run })]);
  if (!detail) throw new ApiError('not_found', 'Run not found');
  // The worker names a moment by its own clock.
  const offsetMs = nowMs - c.get('host').context.wallClockMs();
  const wanted: KeyedWait = {
    id: await derivedId('waitpoint', `${run} ${requestKey(c)}`),
    wallMs: givenMs,
    untilMs: givenMs + offsetMs,
  };
  const { id, wallMs, untilMs } =
    body.idempotencyKey === undefined
      ? wanted
      : await claimWait(cell, body.idempotencyKey, wanted, nowMs + parseKeyTtl(body.idempotencyKeyTTL));
  const meta = writeWaitMeta({ type: 'DATETIME', id, attempt: attemptOf(detail), completedAfterMs: wallMs });
  const [reported] = await cell.apply([
    {
      type: 'report',
      run,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'sleep', key: `wait:${id}:${requestKey(c)}`, untilMs, again: 'none', meta }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'ended' || reported.result === 'unknown')
    throw new ApiError('invalid', 'The run has already finished');
  return c.json({ waitUntil: new Date(wallMs).toISOString(), waitpoint: { id } });
}

interface KeyedWait {
  id: string;
  wallMs: number;
  untilMs: number;
}

/** The wait that the key names, whoever made it: the second time only what is left of it is waited for. */
async function claimWait(cell: CellApi, key: string, wanted: KeyedWait, expiresAt: number): Promise<KeyedWait> {
  const [claim] = await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.waitpointKeys,
      id: `wait/${key}`,
      data: JSON.stringify(wanted),
      ifAbsent: true,
      expiresAt,
    },
  ]);
  const known = claim?.type === 'put-record' ? parseJson(claim.data) : null;
  return isRecord(known) && typeof known.id === 'string' ? (known as unknown as KeyedWait) : wanted;
}
