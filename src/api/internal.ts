import { Hono } from 'hono';
import type { Cell } from '../cell/cell.ts';
import type { Channel } from '../channel/channel.ts';
import { beginEnd, requestsUnderWay } from '../ending.ts';
import { sameText } from './same-text.ts';

/** For everything that is under way, together. */
const MAX_DRAIN_MS = 4_000;
const POLL_MS = 5;

export interface Draining {
  cells(): Promise<Array<DurableObjectStub<Cell>>>;
  /** Channels over which work is reported. */
  workChannels(): Promise<Array<DurableObjectStub<Channel>>>;
  /** Channels that somebody listens to. */
  listenedChannels(): Array<DurableObjectStub<Channel>>;
}

/** For the launcher alone: it makes a new token at each start. Without one (on the platform) there are no such routes. */
export function internalRoutes(token: string, draining: Draining): Hono {
  const app = new Hono();
  /** 200: nothing is under way any more; 202: it took too long. */
  app.post('/drain', async (c) => {
    if (!(await sameText(c.req.header('authorization') ?? '', `Bearer ${token}`)))
      return c.json({ error: 'not for you' }, 401);
    const deadline = Date.now() + MAX_DRAIN_MS;
    // Workers that hold a connection report over it: it stays until they are done.
    await told(await draining.workChannels(), (channel) => channel.drain(MAX_DRAIN_MS));
    const restMs = Math.max(0, deadline - Date.now());
    const drained = await Promise.all((await draining.cells()).map((cell) => cell.drain(restMs)));
    // Listeners have heard of what ended until now.
    beginEnd();
    await told(draining.listenedChannels(), (channel) => channel.end());
    // This request is one of them.
    while (requestsUnderWay() > 1 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const isIdle = drained.every(({ idle }) => idle) && requestsUnderWay() === 1;
    return c.json({ idle: isIdle }, isIdle ? 200 : 202);
  });
  return app;
}

async function told(
  channels: Array<DurableObjectStub<Channel>>,
  tell: (channel: DurableObjectStub<Channel>) => Promise<void>,
): Promise<void> {
  await Promise.all(channels.map((channel) => tell(channel).catch((error: unknown) => console.error('drain:', error))));
}
