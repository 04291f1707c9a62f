import type { EnvironmentContext } from '../../core/ports.ts';
import { InngestError } from './errors.ts';
import { fromHex, fromLooseHex, sameText, sha256Hex } from './hex.ts';
import { withoutPrefix } from './signature.ts';

/** What the TypeScript SDK sends where it has no event key. */
const NO_EVENT_KEY = 'NO_EVENT_KEY_SET';

/** Hashes of the configured keys: two or three texts for the life of the process. */
const hashes = new Map<string, Promise<string>>();
const MAX_CACHED_HASHES = 16;

/** What the SDKs send as bearer: sha256 of the hex-decoded key, after the same prefix (npm inngest: hashSigningKey). */
export function hashSigningKey(signingKey: string): Promise<string> {
  let hash = hashes.get(signingKey);
  if (!hash) {
    if (hashes.size >= MAX_CACHED_HASHES) hashes.clear();
    hash = sha256Hex(fromHex(withoutPrefix(signingKey)));
    hashes.set(signingKey, hash);
  }
  return hash;
}

export function signingKeys(context: EnvironmentContext): string[] {
  return [context.vars['INNGEST_SIGNING_KEY'], context.vars['INNGEST_SIGNING_KEY_FALLBACK']].filter(
    (key): key is string => key !== undefined && key !== '',
  );
}

/** By which tokens for apps' visitors are signed: a known key only where everything is open, in dev mode without keys. */
export function tokenKeys(context: EnvironmentContext, devKey: string): string[] {
  const keys = signingKeys(context);
  return keys.length === 0 && context.mode === 'dev' ? [devKey] : keys;
}

/** The key for new tokens. Throws 401 where there is none. */
export function tokenKey(context: EnvironmentContext, devKey: string): string {
  const [key] = tokenKeys(context, devKey);
  if (key === undefined)
    throw new InngestError(401, 'unauthorized', 'This server has no INNGEST_SIGNING_KEY, by which tokens are signed.');
  return key;
}

/** Which kind of server the SDK is told it talks to. */
export function serverKind(context: EnvironmentContext): 'dev' | 'cloud' {
  return context.mode === 'dev' ? 'dev' : 'cloud';
}

/**
 * Checks the bearer of an API request: the hash of a signing key or, from people's own scripts, the key itself. Open in dev mode.
 * Only 401 makes an SDK try its fallback key.
 */
export async function requireSigningKey(context: EnvironmentContext, authorization: string | undefined): Promise<void> {
  if (context.mode === 'dev') return;
  const keys = signingKeys(context);
  if (keys.length === 0) {
    throw new InngestError(
      401,
      'unauthorized',
      'This server runs in production mode without a signing key: set INNGEST_SIGNING_KEY on it.',
    );
  }
  const bearer = withoutPrefix(/^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
  for (const key of keys) {
    if (sameText(bearer, await hashSigningKey(key)) || sameText(bearer, withoutPrefix(key))) return;
    // A key that is no hex of even length is one too: the SDKs hash it each in its own way.
    if (!isHex(key) && sameText(bearer, await sha256Hex(fromLooseHex(withoutPrefix(key))))) return;
  }
  const message =
    bearer === '' || bearer === 'undefined'
      ? 'The app sent no signing key'
      : `The signing key (its hash begins with ${shown(bearer)}) is not one of this server`;
  throw new InngestError(401, 'unauthorized', `${message}: compare INNGEST_SIGNING_KEY of the app and of the server.`);
}

/** Checks the last segment of `/e/:key`. `INNGEST_EVENT_KEY` may list several, separated by commas. Open in dev mode. */
export function requireEventKey(context: EnvironmentContext, key: string): void {
  if (context.mode === 'dev') return;
  const configured = (context.vars['INNGEST_EVENT_KEY'] ?? '').split(',').map((part) => part.trim());
  const known = configured.filter((part) => part !== '');
  if (known.length === 0) {
    throw new InngestError(
      503,
      'unavailable',
      'This server runs in production mode without an event key: set INNGEST_EVENT_KEY on it.',
    );
  }
  if (known.some((candidate) => sameText(candidate, key))) return;
  const what = key === NO_EVENT_KEY ? 'the app has none set' : `"${shown(key)}" is not one of this server`;
  throw new InngestError(
    401,
    'unauthorized',
    `Event key not found: ${what}. Compare INNGEST_EVENT_KEY of the app and of the server.`,
  );
}

function isHex(key: string): boolean {
  return /^(?:[0-9a-fA-F]{2})+$/.test(withoutPrefix(key));
}

/** Enough of a key to recognise it by, and of a short one nothing. */
function shown(key: string): string {
  return key.length < 12 ? '…' : `${key.slice(0, 4)}…`;
}
