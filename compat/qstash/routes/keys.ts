import { configuredKeys } from '../auth.ts';
import { json, unserved, WireError } from '../errors.ts';
import { type Route, taskData, taskSpecs } from '../route.ts';
import { GROUP } from '../constants.ts';
import { rotatedKeys, signingKeys } from '../task-data.ts';

const NO_KEYS = 'no signing keys: set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY on the server';

/** The SDK in dev mode asks for these to see whether a dev server is already running. */
export async function getKeys(route: Route): Promise<Response> {
  const { context } = route.host;
  if (!configuredKeys(context)) throw unserved('qstash-no-signing-keys', NO_KEYS);
  return json(signingKeys(context, await taskData(route)));
}

/** The next key becomes the current one; deliveries from now on are signed with it. Kept until the server's settings name other keys. */
export async function rotateKeys(route: Route): Promise<Response> {
  const { context } = route.host;
  const rotated = rotatedKeys(context, await taskData(route));
  if (!rotated) throw new WireError(503, NO_KEYS);
  await route.apply([
    { type: 'register', group: GROUP, tasks: taskSpecs(context, JSON.stringify(rotated.data)), replace: false },
  ]);
  return json(rotated.keys);
}
