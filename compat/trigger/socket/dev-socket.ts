import { ApiError } from '../errors.ts';
import { newId } from '../ids.ts';
import { channelOf } from '../names.ts';
import { openEngine, type RouteContext } from '../request.ts';
import { DEV_PROTOCOL } from './dev-protocol.ts';
import type { Namespace } from './frames.ts';

/** GET /socket.io/?EIO=4&transport=websocket — a worker hears of changes at once; without it, it looks every 5 s. */
export async function devSocket(c: RouteContext): Promise<Response> {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket' || c.req.query('EIO') !== '4')
    throw new ApiError('not_found', 'Only websockets of Engine.IO 4 are served here');
  const { access } = await openEngine(c);
  const channel = c.get('host').channel(access.environment, channelOf.worker(newId('socket')));
  const namespace: Namespace = access.kind === 'worker' ? '/workload' : '/dev-worker';
  return channel.connect(c.req.raw, { protocol: DEV_PROTOCOL, data: namespace });
}
