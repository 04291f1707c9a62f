import { open, type RouteContext } from '../request.ts';

/** trigger.dev: DEV_PRESENCE_SSE_TIMEOUT_MS; the worker connects again by itself. */
const CLOSE_AFTER_MS = 30_000;
const PING_EVERY_MS = 10_000;
const LOOK_EVERY_MS = 250;

/** GET /engine/v1/dev/presence — server-sent events while a worker session lives. */
export async function devPresence(c: RouteContext): Promise<Response> {
  await open(c);
  const { context, isEnding } = c.get('host');
  const encoder = new TextEncoder();
  let ping: ReturnType<typeof setInterval> | null = null;
  let look: ReturnType<typeof setInterval> | null = null;
  const stop = (): void => {
    if (ping !== null) clearInterval(ping);
    if (look !== null) clearInterval(look);
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (event: string): void =>
        controller.enqueue(
          encoder.encode(`event: ${event}\ndata: ${new Date(context.wallClockMs()).toISOString()}\n\n`),
        );
      send('start');
      ping = setInterval(() => send('time'), PING_EVERY_MS);
      const closeAt = Date.now() + CLOSE_AFTER_MS;
      look = setInterval(() => {
        if (Date.now() < closeAt && !isEnding()) return;
        stop();
        controller.close();
      }, LOOK_EVERY_MS);
    },
    cancel: stop,
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' } });
}
