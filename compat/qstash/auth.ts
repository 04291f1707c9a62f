import type { EnvironmentContext } from '../../core/ports.ts';
import { DEV_CURRENT_KEY, DEV_NEXT_KEY } from './constants.ts';
import { fromBase64 } from './encoding.ts';
import { WireError } from './errors.ts';
import { credential } from './settings.ts';

const MAX_TOKEN_LENGTH = 4_096;

export interface SigningKeys {
  current: string;
  next: string;
}

/** The keys of the server's settings. Null: this environment has none (production without configuration). */
export function configuredKeys(context: EnvironmentContext): SigningKeys | null {
  const current = credential(context, 'QSTASH_CURRENT_SIGNING_KEY');
  const next = credential(context, 'QSTASH_NEXT_SIGNING_KEY');
  if (current && next) return { current, next };
  if (context.mode === 'dev') return { current: current ?? DEV_CURRENT_KEY, next: next ?? DEV_NEXT_KEY };
  return null;
}

/** `UserID` of a token (base 64 of JSON), or null when it is not one. */
export function userOf(token: string): string | null {
  if (token.length > MAX_TOKEN_LENGTH) return null;
  const bytes = fromBase64(token);
  if (!bytes) return null;
  try {
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== 'object' || claims === null || !('UserID' in claims)) return null;
    return typeof claims.UserID === 'string' && claims.UserID !== '' ? claims.UserID : null;
  } catch {
    return null;
  }
}

/** The environment's name. Throws 401 for a missing or unknown token, 403 for a write with a read-only one. */
export function authenticate(request: Request, url: string, context: EnvironmentContext): string {
  const token = bearer(request) ?? queryToken(url);
  if (!token) throw new WireError(401, 'unauthorized: send "Authorization: Bearer <QSTASH_TOKEN>"');
  const { REPOINT_QSTASH_READONLY_TOKEN } = context.vars;
  const QSTASH_TOKEN = credential(context, 'QSTASH_TOKEN');
  if (REPOINT_QSTASH_READONLY_TOKEN && same(token, REPOINT_QSTASH_READONLY_TOKEN)) {
    if (request.method !== 'GET') throw new WireError(403, 'forbidden: this token is read-only');
    return context.environment;
  }
  if (QSTASH_TOKEN && same(token, QSTASH_TOKEN)) {
    if (configuredKeys(context) === null) {
      throw new WireError(
        503,
        'no signing keys: set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY on the server',
      );
    }
    return context.environment;
  }
  if (context.mode === 'dev') {
    if (userOf(token) !== null) return context.environment;
    throw new WireError(401, 'unauthorized: the token is not base64 of {"UserID": ..., "Password": ...}');
  }
  throw new WireError(401, 'unauthorized: unknown token; this server takes the one in its QSTASH_TOKEN');
}

function bearer(request: Request): string | null {
  const header = request.headers.get('authorization');
  if (header === null) return null;
  return /^bearer\s+(\S+)\s*$/i.exec(header)?.[1] ?? null;
}

function queryToken(url: string): string | null {
  const at = url.indexOf('qstash_token=');
  if (at < 0) return null;
  return new URL(url).searchParams.get('qstash_token');
}

/** Takes as long for any wrong token of the same length. */
function same(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
