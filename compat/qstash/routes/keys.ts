import { signingKeys } from '../auth.ts';
import { json, unserved } from '../errors.ts';
import type { Route } from '../route.ts';

/** The SDK in dev mode asks for these to see whether a dev server is already running. */
export async function getKeys(route: Route): Promise<Response> {
  const keys = signingKeys(route.host.context);
  if (!keys)
    throw unserved(
      'qstash-no-signing-keys',
      'no signing keys: set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY',
    );
  return json(keys);
}

export async function rotateKeys(): Promise<Response> {
  throw unserved(
    'qstash-rotate-keys',
    "keys are rotated in the server's settings: QSTASH_CURRENT_SIGNING_KEY takes the value of QSTASH_NEXT_SIGNING_KEY, which gets a new one",
  );
}
