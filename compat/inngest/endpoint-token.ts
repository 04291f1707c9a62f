import { sign, verify } from 'hono/jwt';
import type { EnvironmentContext } from '../../core/ports.ts';
import { tokenKey, tokenKeys } from './auth.ts';

/** Whoever was sent to wait for a result may come back for it as long as it may take. */
const TTL_S = 366 * 86_400;
const ISSUER = 'repoint.endpoint';
/** Signs tokens of a dev server without configured keys; dev mode is open anyway. */
const DEV_KEY = 'signkey-dev-endpoint';

/** A token for the result of one run and of no other. */
export async function issueOutputToken(context: EnvironmentContext, run: string): Promise<string> {
  const iat = Math.floor(context.wallClockMs() / 1_000);
  return sign({ iss: ISSUER, run, iat, exp: iat + TTL_S }, tokenKey(context, DEV_KEY), 'HS256');
}

/** Whether the token is genuine, has not run out, and names this run. */
export async function mayReadOutput(context: EnvironmentContext, token: string, run: string): Promise<boolean> {
  for (const key of tokenKeys(context, DEV_KEY)) {
    try {
      const claims = await verify(token, key, { alg: 'HS256', iss: ISSUER });
      if (claims['run'] === run) return true;
    } catch {
      // Another key's, forged, or too old.
    }
  }
  return false;
}
