import { ApiError } from '../errors.ts';
import { newId } from '../ids.ts';
import { channelOf } from '../names.ts';
import { open, type RouteContext } from '../request.ts';
import { DEV_PROTOCOL } from './dev-protocol.ts';

/** GET /socket.io/?EIO=4&transport=websocket — a worker hears of changes at once; without it, it looks every 5 s. */
export async function devSocket(c: RouteContext): Promise<Response> {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket' || c.req.query('EIO') !== '4')
    throw new ApiError('not_found', 'Only websockets of Engine.IO 4 are served here');
  const { access } = await open(c);
  const channel = c.get('host').channel(access.environment, channelOf.worker(newId('socket')));
  return channel.connect(c.req.raw, { protocol: DEV_PROTOCOL });
}
