import type { EnvironmentContext } from '../../../core/ports.ts';
import { signingKeys } from '../auth.ts';
import { sign, verify } from '../signature.ts';

function textOf(connectionId: string): string {
  return `connect/${connectionId}/`;
}

/** What a worker shows the gateway to prove that it was let in a moment ago. Empty in dev mode without a key, where everybody is. */
export async function sessionToken(connectionId: string, context: EnvironmentContext): Promise<string> {
  const key = signingKeys(context)[0];
  return key === undefined ? 'dev' : sign(key, textOf(connectionId), context.wallClockMs());
}

/** The token counts for five minutes, for its own connection. */
export async function isSession(token: string, connectionId: string, context: EnvironmentContext): Promise<boolean> {
  if (context.mode === 'dev') return true;
  for (const key of signingKeys(context))
    if (await verify(key, textOf(connectionId), token, context.wallClockMs())) return true;
  return false;
}
