import { ApiError } from '../errors.ts';
import { eventStream, firstVersion, positionOfEvent, secondVersion } from '../realtime/event-stream.ts';
import { untilEnded } from '../../../core/channel/run-end.ts';
import { param, type RouteContext } from '../request.ts';
import { inputKey, openStream, outputKey, requireStreamScope, type StreamCall } from '../streams.ts';

/** GET /realtime/v1/streams/:run/:stream — what the run has written and writes. */
export async function readStream(c: RouteContext): Promise<Response> {
  const call = await openStream(c);
  requireStreamScope(call, 'read');
  return answer(c, call, outputKey(call.name), 'v1');
}

/**
 * GET /realtime/v1/streams/:run/input/:stream — what the run was sent; read by the run itself. HEAD /realtime/v1/streams/:run/:target/:stream — how far
 * a writer has come (Hono hands HEAD to GET's handler).
 */
export async function readInputOrProbe(c: RouteContext): Promise<Response> {
  const target = param(c, 'target');
  if (c.req.method === 'HEAD') return probe(c, target);
  if (target !== 'input') throw new ApiError('not_found', 'Stream not found');
  const call = await openStream(c);
  requireStreamScope(call, 'read');
  return answer(c, call, inputKey(call.name), 'v2');
}

async function probe(c: RouteContext, target: string): Promise<Response> {
  const call = await openStream(c, target);
  requireStreamScope(call, 'write');
  const info = await call.channel.info(outputKey(call.name), c.req.header('x-client-id') ?? 'default');
  c.header('x-last-chunk-index', String(info?.writerIndex ?? -1));
  c.header('x-stream-version', 'v1');
  return c.body(null, 200);
}

async function answer(c: RouteContext, call: StreamCall, stream: string, version: 'v1' | 'v2'): Promise<Response> {
  const { channel, record } = call;
  const resumed = positionOfEvent(c.req.header('last-event-id'));
  const latest = c.req.header('x-trigger-stream-start') === 'latest';
  const after = resumed ?? (latest ? ((await channel.info(stream))?.last ?? 0) : 0);
  const seconds = Number(c.req.header('timeout-seconds'));
  return eventStream({
    channel,
    stream,
    after,
    version,
    timeoutSeconds: seconds > 0 && Number.isFinite(seconds) ? seconds : null,
    frame: version === 'v1' ? firstVersion : secondVersion,
    isEnding: () => c.get('host').isEnding(),
    untilOver: (isWanted) => untilEnded(channel, record.id, isWanted),
  });
}
