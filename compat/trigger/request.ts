import type { Context } from 'hono';
import type { z } from 'zod';
import { readBoundedText } from '../../core/net/bounded-body.ts';
import type { CellApi, RouteEnv } from '../../core/ports.ts';
import {
  authenticate,
  PROJECT_REF,
  verifiedDeployment,
  WORKLOAD_HEADER,
  type Access,
  type AccessKind,
} from './auth.ts';
import type { Deployment } from './deployment-ids.ts';
import { ApiError, invalidBody } from './errors.ts';
import { runIdOf } from './ids.ts';
import { COLLECTIONS } from './names.ts';
import { isRecord, parseJson } from './packets.ts';

export type RouteContext = Context<RouteEnv>;

/** One authenticated request. */
export interface Call {
  access: Access;
  cell: CellApi;
}

export async function open(c: RouteContext, kinds: readonly AccessKind[] = ['secret']): Promise<Call> {
  const access = await authenticate(c, kinds);
  return { access, cell: c.get('host').cell(access.environment) };
}

/** Requests about a run that its worker makes: a development session with its key, or a deployed one with its deployment's id. */
export function openEngine(c: RouteContext): Promise<Call> {
  return open(c, ['secret', 'worker']);
}

/** A deployed worker's request, and what it may work on. @throws ApiError 401 */
export async function openWorker(c: RouteContext): Promise<{ cell: CellApi; deployment: Deployment; id: string }> {
  const host = c.get('host');
  const id = c.req.header(WORKLOAD_HEADER) ?? c.req.header('x-trigger-deployment-id') ?? '';
  const deployment = await verifiedDeployment(id, host.context);
  if (!deployment)
    throw new ApiError(
      'unauthorized',
      'The deployment is not one of this server: deploy it here and start its workers with the new id',
    );
  return { cell: host.cell(host.context.environment), deployment, id };
}

/** Reads the body whatever its content type says: the worker's posts mostly carry none. */
export async function readBody<S extends z.ZodType>(c: RouteContext, schema: S, maxBytes: number): Promise<z.infer<S>> {
  const text = await readText(c, maxBytes);
  const value = text.trim() === '' ? {} : parseJson(text);
  if (value === undefined) throw new ApiError('bad_request', 'The request body is not valid JSON');
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidBody(parsed.error);
  return parsed.data;
}

export async function readText(c: RouteContext, maxBytes: number): Promise<string> {
  const text = await readBoundedText(c.req.raw, maxBytes);
  if (text === null) throw tooLarge(maxBytes);
  return text;
}

export async function* bodyOf(c: RouteContext): AsyncGenerator<Uint8Array> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = c.req.raw.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Unread rest of a refused body.
    await reader.cancel().catch(() => {});
  }
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError('payload_too_large', `Request body too large: at most ${maxBytes} bytes`);
}

/** A path parameter; Hono has decoded it. */
export function param(c: RouteContext, name: string): string {
  return c.req.param(name) ?? '';
}

/** The bare run id of the path. @throws ApiError 404 for text that is no run id */
export function runParam(c: RouteContext): string {
  const run = runIdOf(param(c, 'run'));
  if (run === null) throw new ApiError('not_found', 'Run not found');
  return run;
}

export function projectParam(c: RouteContext): string {
  const project = param(c, 'project');
  if (!PROJECT_REF.test(project)) throw new ApiError('not_found', 'Project not found');
  return project;
}

const DEFAULT_PROJECT = 'default-project';

/** Keys in a user's own environment name no project: the one whose worker registered last is meant. */
export async function projectFor(c: RouteContext, { access, cell }: Call): Promise<string | null> {
  if (access.project !== null) return access.project;
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.settings, id: DEFAULT_PROJECT });
  const value = record === null ? null : parseJson(record.data);
  if (isRecord(value) && typeof value.project === 'string') return value.project;
  return c.get('host').context.vars.TRIGGER_PROJECT_REF ?? null;
}

export async function requireProject(c: RouteContext, call: Call): Promise<string> {
  const project = await projectFor(c, call);
  if (project === null)
    throw new ApiError('not_found', 'No project is known yet: start a worker with `trigger dev` first');
  return project;
}

export function rememberProject(project: string): { type: 'put-record'; collection: string; id: string; data: string } {
  return {
    type: 'put-record',
    collection: COLLECTIONS.settings,
    id: DEFAULT_PROJECT,
    data: JSON.stringify({ project }),
  };
}

/** One per logical call of a client, the same for its network retries; made here for callers that send none. */
export function requestKey(c: RouteContext): string {
  const key = c.req.header('x-trigger-request-idempotency-key');
  return key !== undefined && key.length > 0 && key.length <= 128 ? key : crypto.randomUUID();
}

/** The engine's time: in dev mode a test may have moved it. */
export async function engineNow(c: RouteContext, cell: CellApi): Promise<number> {
  const { context } = c.get('host');
  return context.mode === 'production' ? context.wallClockMs() : (await cell.query({ type: 'clock' })).nowMs;
}
