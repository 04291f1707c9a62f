import { DEFAULT_ENVIRONMENT } from '../../../core/model/placement.ts';
import { isSame, publicToken, requireScope, signingKey } from '../auth.ts';
import { parseKeyTtl, parseMoment } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { derivedId } from '../ids.ts';
import { TOKEN_TTL_S } from '../jwt.ts';
import { COLLECTIONS, tokenOf } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, param, readBody, readText, requestKey, runParam, type RouteContext } from '../request.ts';
import {
  CompleteTokenBodySchema,
  CreateTokenBodySchema,
  MAX_SMALL_BODY_BYTES,
  MAX_TAGS,
  MAX_TASK_BODY_BYTES,
} from '../schema.ts';
import { at, attemptOf } from '../start-run.ts';
import {
  callbackHash,
  completeToken,
  indexIdOf,
  packetOfValue,
  readToken,
  TOKEN_RETENTION_MS,
  tokenResponse,
  type Token,
} from '../tokens.ts';
import { writeWaitMeta } from '../waitpoints.ts';

/** POST /api/v1/waitpoints/tokens */
export async function createToken(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const body = await readBody(c, CreateTokenBodySchema, MAX_SMALL_BODY_BYTES);
  const nowMs = await engineNow(c, cell);
  const { context } = c.get('host');
  const timeout = body.timeout === undefined ? null : parseMoment(body.timeout);
  if (body.timeout !== undefined && timeout === null)
    throw new ApiError('invalid', `Invalid timeout: "${String(body.timeout)}"`);
  if ((body.tags?.length ?? 0) > MAX_TAGS)
    throw new ApiError(
      'invalid',
      `Waitpoints can only have ${MAX_TAGS} tags, you're trying to set ${body.tags?.length}.`,
    );
  const wanted: Token = {
    id: await derivedId('waitpoint', `token ${requestKey(c)}`),
    createdAt: nowMs,
    tags: body.tags ?? [],
    ...(timeout === null ? {} : { timeoutAt: at(timeout, nowMs, nowMs - context.wallClockMs()) }),
    ...(body.idempotencyKey === undefined
      ? {}
      : { idempotencyKey: body.idempotencyKey, idempotencyKeyExpiresAt: nowMs + parseKeyTtl(body.idempotencyKeyTTL) }),
  };
  let token = wanted;
  if (wanted.idempotencyKey !== undefined) {
    const expiresAt = wanted.idempotencyKeyExpiresAt as number;
    const [claim] = await cell.apply([
      {
        type: 'put-record',
        collection: COLLECTIONS.waitpointKeys,
        id: wanted.idempotencyKey,
        data: JSON.stringify(wanted),
        ifAbsent: true,
        expiresAt,
      },
    ]);
    const known = claim?.type === 'put-record' ? parseJson(claim.data) : null;
    if (isRecord(known) && typeof known.id === 'string') token = known as unknown as Token;
  }
  await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.waitpoints,
      id: token.id,
      data: JSON.stringify(token),
      ifAbsent: true,
      expiresAt: nowMs + TOKEN_RETENTION_MS,
    },
    {
      type: 'put-record',
      collection: COLLECTIONS.waitpointIndex,
      id: indexIdOf(token),
      data: 'null',
      ifAbsent: true,
      expiresAt: nowMs + TOKEN_RETENTION_MS,
    },
  ]);
  c.header('x-trigger-jwt', await publicToken(context, [`write:waitpoints:${token.id}`], TOKEN_TTL_S.waitpoint));
  return c.json({ id: token.id, isCached: token.id !== wanted.id, url: await callbackUrl(c, token.id) });
}

export async function callbackUrl(c: RouteContext, id: string): Promise<string> {
  const { context } = c.get('host');
  const hash = await callbackHash(id, signingKey(context));
  const { environment } = context;
  // The address is all that a caller of it has.
  const query = environment === DEFAULT_ENVIRONMENT ? '' : `?environment=${environment}`;
  return `${context.serverUrl}/api/v1/waitpoints/tokens/${id}/callback/${hash}${query}`;
}

/** GET /api/v1/waitpoints/tokens/:token */
export async function retrieveToken(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const id = param(c, 'token');
  requireScope(access, 'read', [['waitpoints', id]]);
  const token = await readToken(cell, id);
  if (!token) throw new ApiError('not_found', 'Waitpoint not found');
  return c.json(await tokenResponse(cell, token, await callbackUrl(c, id), await engineNow(c, cell)));
}

/** POST /api/v1/waitpoints/tokens/:token/complete */
export async function completeTokenRoute(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const id = param(c, 'token');
  requireScope(access, 'write', [['waitpoints', id]]);
  const { data } = await readBody(c, CompleteTokenBodySchema, MAX_TASK_BODY_BYTES);
  const token = await readToken(cell, id);
  if (!token) throw new ApiError('not_found', 'Waitpoint not found');
  await completeToken(cell, token, packetOfValue(data ?? undefined), await engineNow(c, cell));
  return c.json({ success: true });
}

/** POST /api/v1/waitpoints/tokens/:token/callback/:hash — no key: the address is the secret. Any body completes it. */
export async function completeTokenByCallback(c: RouteContext): Promise<Response> {
  const host = c.get('host');
  const { context } = host;
  const id = param(c, 'token');
  const cell = host.cell(context.environment);
  const token = await readToken(cell, id);
  if (!token) throw new ApiError('not_found', 'Waitpoint not found');
  if (!(await isSame(await callbackHash(id, signingKey(context)), param(c, 'hash'))))
    throw new ApiError('unauthorized', 'Invalid URL, hash does not match');
  const text = await readText(c, MAX_TASK_BODY_BYTES);
  await completeToken(
    cell,
    token,
    packetOfValue(text === '' ? undefined : (parseJson(text) ?? text)),
    await engineNow(c, cell),
  );
  return c.json({ success: true });
}

/** POST /engine/v1/runs/:run/waitpoints/tokens/:token/wait */
export async function waitForToken(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const run = runParam(c);
  const id = param(c, 'token');
  const [token, detail] = await Promise.all([readToken(cell, id), cell.query({ type: 'run-detail', run })]);
  if (!token) throw new ApiError('not_found', 'Waitpoint not found');
  if (!detail) throw new ApiError('not_found', 'Run not found');
  const meta = writeWaitMeta({
    type: 'MANUAL',
    id,
    attempt: attemptOf(detail),
    ...(token.timeoutAt === undefined ? {} : { completedAfterMs: token.timeoutAt }),
  });
  const [reported] = await cell.apply([
    {
      type: 'report',
      run,
      anyLease: true,
      final: false,
      outcome: {
        ops: [
          {
            op: 'wait-token',
            key: `token:${id}:${requestKey(c)}`,
            token: tokenOf(id),
            again: 'none',
            meta,
            ...(token.timeoutAt === undefined ? {} : { untilMs: token.timeoutAt }),
          },
        ],
      },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'ended' || reported.result === 'unknown')
    throw new ApiError('invalid', 'The run has already finished');
  return c.json({ success: true });
}
