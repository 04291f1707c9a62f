import { Hono } from 'hono';
import type { Cell } from '../cell/cell.ts';
import type { Channel } from '../channel/channel.ts';
import { sameText } from './same-text.ts';

const MAX_DRAIN_MS = 4_000;

/** For the launcher alone: it makes a new token at each start. Without one (on the platform) there are no such routes. */
export function internalRoutes(
  token: string,
  cells: () => Promise<Array<DurableObjectStub<Cell>>>,
  channels: () => Promise<Array<DurableObjectStub<Channel>>>,
): Hono {
  const app = new Hono();
  app.post('/drain', async (c) => {
    if (!(await sameText(c.req.header('authorization') ?? '', `Bearer ${token}`)))
      return c.json({ error: 'not for you' }, 401);
    // Workers that hold a connection report over it: it stays until they are done.
    await Promise.all(
      (await channels()).map((channel) =>
        channel.drain(MAX_DRAIN_MS).catch((error: unknown) => console.error('drain:', error)),
      ),
    );
    const drained = await Promise.all((await cells()).map((cell) => cell.drain(MAX_DRAIN_MS)));
    return c.json({ idle: drained.every(({ idle }) => idle) });
  });
  return app;
}
