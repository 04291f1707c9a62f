import { ApiError } from '../errors.ts';
import { open, type RouteContext } from '../request.ts';
import { connectedFrame, openFrame, PING, PING_EVERY_MS, readFrame, refusedFrame } from './frames.ts';
import { Subscriptions } from './subscriptions.ts';

/** The part of the Workers' WebSocket that is used here. */
interface ServerSocket {
  accept(): void;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message' | 'close' | 'error', listener: (event: { data?: unknown }) => void): void;
}

type PairConstructor = new () => { 0: unknown; 1: ServerSocket };

/** GET /socket.io/?EIO=4&transport=websocket — a worker hears of changes at once; without it, it looks every 5 s. */
export async function devSocket(c: RouteContext): Promise<Response> {
  const Pair = (globalThis as { WebSocketPair?: PairConstructor }).WebSocketPair;
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket' || c.req.query('EIO') !== '4' || Pair === undefined)
    throw new ApiError('not_found', 'Only websockets of Engine.IO 4 are served here');
  const { cell } = await open(c);
  const pair = new Pair();
  const server = pair[1];
  const sid = crypto.randomUUID();
  server.accept();
  const send = (frame: string): void => {
    try {
      server.send(frame);
    } catch {
      // Closed in the meantime; its close event ends the rest.
    }
  };
  const subscriptions = new Subscriptions(cell, send);
  const ping = setInterval(() => send(PING), PING_EVERY_MS);
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      clearInterval(ping);
      subscriptions.close();
      resolve();
    };
    server.addEventListener('close', end);
    server.addEventListener('error', end);
  });
  const { waitUntil } = { waitUntil: c.get('host').waitUntil.bind(c.get('host')) };
  waitUntil(ended);
  server.addEventListener('message', ({ data }) => {
    if (typeof data !== 'string') return;
    const frame = readFrame(data);
    switch (frame.kind) {
      case 'ping':
        return send('3');
      case 'connect':
        return send(connectedFrame(sid));
      case 'close':
        return server.close(1000);
      case 'subscribe':
        for (const run of frame.runs) {
          const following = subscriptions.subscribe(run);
          if (following) waitUntil(following);
        }
        return;
      case 'unsubscribe':
        for (const run of frame.runs) subscriptions.unsubscribe(run);
        return;
      case 'pong':
        return;
      case 'other':
        if (data.startsWith('40')) send(refusedFrame('Invalid namespace'));
    }
  });
  send(openFrame(sid));
  return new Response(null, { status: 101, webSocket: pair[0] } as ResponseInit);
}
