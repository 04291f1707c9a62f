import { describe, expect, test } from 'vitest';
import { serveHttp } from './serve.ts';
import { forgetServer, takeServerErrors, watchServer } from './server-errors.ts';

const failing = (): ReturnType<typeof serveHttp> => serveHttp(() => new Response('broken', { status: 500 }));

describe('the watch over servers', () => {
  test('sees the answers 500 of each server that is watched, and of no other', async () => {
    const [shared, own, stranger] = await Promise.all([failing(), failing(), failing()]);
    watchServer(shared.url);
    watchServer(own.url);
    for (const { url } of [shared, own, stranger]) await fetch(`${url}/a?b=c`, { method: 'POST' });
    expect(takeServerErrors('')).toEqual(
      Array.from({ length: 2 }, () => ({ method: 'POST', path: '/a?b=c', status: 500, body: 'broken' })),
    );
    forgetServer(own.url);
    await fetch(own.url);
    expect(takeServerErrors('')).toEqual([]);
    await Promise.all([shared, own, stranger].map((server) => server.close()));
  });

  test('takes from the log what another process was answered', async () => {
    const server = await failing();
    watchServer(server.url);
    await fetch(`${server.url}/a/1?b=c`);
    const errors = takeServerErrors(
      'unhandled: GET /a/:id Error: x\nstarted\nunhandled: PUT /b TypeError: y\n    at z\n',
    );
    expect(errors.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /a/1?b=c', 'PUT /b']);
    await server.close();
  });
});
