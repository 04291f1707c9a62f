import { DurableObject } from 'cloudflare:workers';
import type { Bindings } from '../bindings.ts';
import { channelFrame, type RunChange } from './frames.ts';

/** A frame larger than this closes the sender's socket: subscribers have nothing long to say. */
const MAX_FRAME_CHARS = 4_096;
/** A cell forgets its channels when it is lost; while somebody listens, the channel says again that it is there. */
const RENEW_MS = 20_000;

interface Subject {
  cell: string;
  run: string;
}

/**
 * Fan-out of one run's changes to any number of subscribers: WebSockets that hibernate, so that an idle subscriber costs nothing. The cell tells the
 * channel, not each subscriber. What is sent is a hint with a sequence number; the record is the cell's.
 */
export class Channel extends DurableObject<Bindings> {
  /** Accepts a subscriber. The URL names the cell and the run (`?cell=&run=`), as the route that checked the key has set them. */
  override async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const subject: Subject = { cell: searchParams.get('cell') ?? '', run: searchParams.get('run') ?? '' };
    const change = await this.#follow(subject);
    if (!change) return Response.json({ error: `no run "${subject.run}"` }, { status: 404 });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.send(channelFrame(change));
    await this.ctx.storage.put('subject', subject);
    await this.ctx.storage.put('seq', change.seq);
    await this.ctx.storage.setAlarm(Date.now() + RENEW_MS);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** From the cell. Returns how many were told; none: the cell need not tell again. */
  async publish(change: RunChange): Promise<number> {
    const sockets = this.ctx.getWebSockets();
    const known = (await this.ctx.storage.get<number>('seq')) ?? -1;
    if (change.seq > known) {
      await this.ctx.storage.put('seq', change.seq);
      for (const socket of sockets) socket.send(channelFrame(change));
    }
    return sockets.length;
  }

  override async alarm(): Promise<void> {
    const subject = await this.ctx.storage.get<Subject>('subject');
    if (!subject || this.ctx.getWebSockets().length === 0) {
      await this.ctx.storage.deleteAll();
      return;
    }
    await this.ctx.storage.setAlarm(Date.now() + RENEW_MS);
    const change = await this.#follow(subject).catch(() => null);
    if (change) await this.publish(change);
  }

  #follow(subject: Subject): Promise<RunChange | null> {
    const cell = this.env.CELL.get(this.env.CELL.idFromName(subject.cell));
    return cell.follow(subject.run, this.ctx.id.toString());
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const size = typeof message === 'string' ? message.length : message.byteLength;
    if (size > MAX_FRAME_CHARS) socket.close(1009, 'frame too large');
    else if (message === 'ping') socket.send('pong');
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 say that no code came; they cannot be sent.
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
  }
}
