import type { Context } from 'hono';
import type { CellApi, EnvironmentContext, RouteEnv } from '../../core/ports.ts';
import { NEVER_MS } from '../../core/model/limits.ts';
import { DEFAULT_ENVIRONMENT, keyedEnvironment } from '../../core/model/placement.ts';
import { type Deployment, verifyDeployment } from './deployment-ids.ts';
import { subjectOf } from './environment-keys.ts';
import { ApiError } from './errors.ts';
import { sha256Hex } from './ids.ts';
import { allows, issueToken, peekSubject, TOKEN_TTL_S, verifyToken } from './jwt.ts';
import { COLLECTIONS } from './names.ts';
import { isRecord, parseJson } from './packets.ts';

export type AccessKind = 'secret' | 'personal' | 'public' | 'worker';

/** Who asks, and for what. */
export interface Access {
  kind: AccessKind;
  /** Environment of the engine. */
  environment: string;
  /** Project that the key itself names, if it does. */
  project: string | null;
  /** The bearer token. */
  token: string;
  /** Of a public token. */
  scopes: string[];
  /** Of a public token: it starts one thing only. */
  oneTimeUse: boolean;
  /** Of a public token: what its subscriptions do not show. */
  skipColumns: string[];
  /** Of a public token that ends: when, in ms since the epoch. */
  endsAtMs?: number;
}

/** Signs public tokens of a dev server without configured keys; dev mode is open anyway. */
const DEV_SIGNING_KEY = 'tr_dev_repoint_local_signing_key';
const SECRET_KEY = /^tr_(dev|prod|stg|preview)_[A-Za-z0-9_-]{1,200}$/;
const PERSONAL_TOKEN = /^tr_(pat|oat)_[A-Za-z0-9_-]{1,200}$/;
/** Keys that a dev server hands to a worker carry the project, so that nothing has to be looked up. */
/** What a deployed worker sends in place of a key (@trigger.dev/core: WORKLOAD_HEADERS). */
export const WORKLOAD_HEADER = 'x-trigger-workload-deployment-id';
const PROJECT_KEY = /^tr_(?:dev|prod|stg|preview)_ref_([A-Za-z0-9_-]{1,100})$/;

export const PROJECT_REF = /^[A-Za-z0-9_-]{1,100}$/;

/** The secret key of a project's environment: on a dev server one that names both. */
export function secretKeyFor(
  project: string,
  { mode, environment, vars }: EnvironmentContext,
  kind: 'dev' | 'prod' | 'stg' | 'preview' = 'dev',
): string {
  const derived = keyedEnvironment(environment) !== DEFAULT_ENVIRONMENT;
  return mode === 'production' || derived ? (vars.TRIGGER_SECRET_KEY ?? '') : `tr_${kind}_ref_${project}`;
}

/** @throws ApiError 401 when the token is missing, unknown, or of a kind that the route does not take */
export async function authenticate(c: Context<RouteEnv>, kinds: readonly AccessKind[]): Promise<Access> {
  const host = c.get('host');
  const token = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? c.req.header(WORKLOAD_HEADER);
  if (token === undefined)
    throw new ApiError('unauthorized', 'Invalid or Missing API key: send it as "Authorization: Bearer <key>"');
  const access = await accessOf(token, host.context, host.cell(host.context.environment));
  if (!access) {
    const mend =
      host.context.mode === 'production'
        ? 'In production mode it must be the configured TRIGGER_SECRET_KEY or TRIGGER_ACCESS_TOKEN'
        : 'Expected tr_dev_…, tr_prod_…, tr_pat_… or a public access token';
    throw new ApiError('unauthorized', `Invalid API key. ${mend}`);
  }
  if (!kinds.includes(access.kind))
    throw new ApiError(
      'unauthorized',
      `This route does not take a ${access.kind === 'personal' ? 'personal access token' : access.kind === 'public' ? 'public access token' : access.kind === 'worker' ? "deployment's id" : 'secret key'}`,
    );
  return access;
}

/** A deployment's id, if this environment signed it. */
export function verifiedDeployment(id: string, context: EnvironmentContext): Promise<Deployment | null> {
  return verifyDeployment(id, signingKey(context), context);
}

async function accessOf(token: string, context: EnvironmentContext, cell: CellApi): Promise<Access | null> {
  if (token.startsWith('deployment_')) {
    const deployment = await verifiedDeployment(token, context);
    return (
      deployment && {
        kind: 'worker',
        environment: context.environment,
        project: deployment.project,
        token,
        scopes: [],
        oneTimeUse: false,
        skipColumns: [],
      }
    );
  }
  const subject = peekSubject(token);
  if (subject !== null) {
    const key = await verificationKey(subject, context, cell);
    const claims = key === null ? null : await verifyToken(token, key);
    return (
      claims && {
        kind: 'public',
        environment: context.environment,
        project: null,
        token,
        scopes: claims.scopes,
        oneTimeUse: claims.oneTimeUse,
        skipColumns: claims.skipColumns,
        ...(claims.expiresAt === null ? {} : { endsAtMs: claims.expiresAt * 1_000 }),
      }
    );
  }
  const kind = SECRET_KEY.test(token) ? 'secret' : PERSONAL_TOKEN.test(token) ? 'personal' : null;
  if (kind === null) return null;
  if (context.mode === 'production') {
    const configured = kind === 'secret' ? context.vars.TRIGGER_SECRET_KEY : context.vars.TRIGGER_ACCESS_TOKEN;
    if (configured === undefined || !(await isSame(configured, token))) return null;
  }
  return {
    kind,
    environment: context.environment,
    project: PROJECT_KEY.exec(token)?.[1] ?? null,
    token,
    scopes: [],
    oneTimeUse: false,
    skipColumns: [],
  };
}

/** Compares digests, so that the time taken says nothing about the key. */
export async function isSame(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([sha256Hex(a), sha256Hex(b)]);
  let difference = 0;
  for (let i = 0; i < x.length; i++) difference |= x.charCodeAt(i) ^ y.charCodeAt(i);
  return difference === 0;
}

/** A public token must name what it may do; every other kind may do all. */
export function requireScope(
  access: Access,
  action: string,
  resources: ReadonlyArray<readonly [type: string, id: string]>,
): void {
  if (access.kind === 'public' && !allows(access.scopes, action, resources))
    throw new ApiError(
      'forbidden',
      `The public access token lacks a scope for ${action}:${resources[0]?.join(':') ?? ''}`,
    );
}

/** How long a used token is remembered at least, and beyond its end: clocks differ. */
const USED_TOKEN_MS = 86_400_000;

/** A one-time token counts for one request, network retries of it included. @throws ApiError 401 the second time */
export async function spend(access: Access, cell: CellApi, requestKey: string, nowMs: number): Promise<void> {
  if (!access.oneTimeUse) return;
  // The engine's clock is never behind the one by which tokens end.
  const untilMs = Math.min(NEVER_MS, Math.max(nowMs, access.endsAtMs ?? NEVER_MS) + USED_TOKEN_MS);
  const id = `used/${await sha256Hex(access.token)}`;
  const data = JSON.stringify({ requestKey });
  const [put] = await cell.apply([
    { type: 'put-record', collection: COLLECTIONS.keys, id, data, ifAbsent: true, expiresAt: untilMs },
  ]);
  if (put?.type === 'put-record' && !put.written && put.data !== data)
    throw new ApiError('unauthorized', 'The one-time public access token has been used');
}

/**
 * By which tokens, deployments' ids and addresses are signed. The known one counts only where everything is open.
 * @throws ApiError 401 in production mode without a key: nothing that is signed can be genuine there
 */
export function signingKey({ mode, vars }: EnvironmentContext): string {
  if (vars.TRIGGER_SECRET_KEY) return vars.TRIGGER_SECRET_KEY;
  if (mode === 'dev') return DEV_SIGNING_KEY;
  throw new ApiError('unauthorized', 'This server has no TRIGGER_SECRET_KEY, by which tokens are signed: set it');
}

/** A public token signed by this server. */
export function publicToken(
  context: EnvironmentContext,
  scopes: string[],
  ttlSeconds: number = TOKEN_TTL_S.trigger,
  extra: Record<string, unknown> = {},
): Promise<string> {
  return issueToken(
    signingKey(context),
    subjectOf(context.environment),
    scopes,
    context.wallClockMs(),
    ttlSeconds,
    extra,
  );
}

/**
 * The subject for a client that signs with its own secret key. A dev server takes any key, so it has to remember which one a subject means.
 */
export async function subjectFor(access: Access, context: EnvironmentContext, cell: CellApi): Promise<string> {
  if (access.token === signingKey(context)) return subjectOf(context.environment);
  const subject = `env_${(await sha256Hex(access.token)).slice(0, 24)}`;
  await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.keys,
      id: subject,
      data: JSON.stringify({ key: access.token }),
      ifAbsent: true,
    },
  ]);
  return subject;
}

async function verificationKey(subject: string, context: EnvironmentContext, cell: CellApi): Promise<string | null> {
  if (subject === subjectOf(context.environment)) return signingKey(context);
  if (context.mode === 'production' || subject.length > 100) return null;
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.keys, id: subject });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) && typeof value.key === 'string' ? value.key : null;
}
