import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import { refusal } from '../../core/net/destination.ts';
import type { EnvironmentContext } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { environmentContext } from '../environments/keys.ts';
import { EXECUTORS } from '../vendors.ts';
import { follow } from './follow.ts';
import { type HostMap, parseHostMap, rewrite } from './rewrite.ts';
import { send } from './send.ts';

const hostMaps = new WeakMap<EnvironmentContext, HostMap>();

function hostMapOf(context: EnvironmentContext): HostMap {
  let map = hostMaps.get(context);
  if (!map) hostMaps.set(context, (map = parseHostMap(context.vars.REPOINT_REWRITE_HOSTS)));
  return map;
}

/**
 * Asks the executor for the request of a call, sends it and decodes the answer.
 * @throws when the call could not be made at all: the environment or its executor is not known here
 */
export async function makeCall(env: Bindings, environment: string, call: LeasedCall): Promise<Outcome> {
  const context = await environmentContext(env, environment);
  if (!context) throw new Error(`the environment "${environment}" has no keys: is REPOINT_ROOT_SECRET set?`);
  const executor = EXECUTORS[call.task.executor];
  if (!executor) throw new Error(`no executor "${call.task.executor}"`);
  const request = await executor.request(call, context);
  if ('skip' in request) return request.skip;
  const result = await follow(request, (hop) => {
    const refused = refusal(hop.url, context.mode, context.vars.REPOINT_ALLOW_PRIVATE === '1');
    if (refused === null) return send({ ...hop, url: rewrite(hop.url, hostMapOf(context)) });
    return Promise.resolve({ ok: false, code: 'refused-destination', message: refused, durationMs: 0 });
  });
  return executor.outcome(call, result, context);
}
