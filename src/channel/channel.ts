import { DurableObject } from 'cloudflare:workers';
import type { Bindings } from '../bindings.ts';

/** A frame larger than this closes the sender's socket. */
const MAX_FRAME_CHARS = 65_536;

interface Subscription {
  topics: string[];
}

/**
 * Fan-out to many subscribers of one name: WebSockets that hibernate, so that an idle subscriber costs nothing. What is published is a hint or a
 * value, never the record: the cell holds that.
 */
export class Channel extends DurableObject<Bindings> {
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket')
      return Response.json({ error: 'a WebSocket upgrade is expected' }, { status: 426 });
    const topics = new URL(request.url).searchParams.getAll('topic');
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ topics } satisfies Subscription);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Sends a frame to the topic's subscribers; returns how many there were. */
  async publish(topic: string, frame: string): Promise<number> {
    let sent = 0;
    for (const socket of this.ctx.getWebSockets()) {
      const { topics } = socket.deserializeAttachment() as Subscription;
      if (topics.length > 0 && !topics.includes(topic)) continue;
      socket.send(frame);
      sent++;
    }
    return sent;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const size = typeof message === 'string' ? message.length : message.byteLength;
    if (size > MAX_FRAME_CHARS) socket.close(1009, 'frame too large');
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
  }
}
