import { expect, test } from 'vitest';
import { messageBooks } from './qstash-books.ts';

interface Server {
  logs: Array<[string, string]>;
  letters?: string[];
  there?: string[];
}

/** A server that says this, two events and one letter a page. */
function books({ logs, letters = [], there = [] }: Server, acknowledged: string[]): ReturnType<typeof messageBooks> {
  return messageBooks((path) => {
    const { pathname, searchParams } = new URL(path, 'http://server');
    const from = Number(searchParams.get('cursor') ?? 0);
    if (pathname.startsWith('/v2/messages/'))
      return Promise.resolve({ status: there.includes(pathname.slice(13)) ? 200 : 404, body: {} });
    const [field, items, size] =
      pathname === '/v2/logs'
        ? (['logs', logs.map(([messageId, state]) => ({ messageId, state })), 2] as const)
        : (['messages', letters.map((messageId) => ({ messageId })), 1] as const);
    const cursor = from + size < items.length ? { cursor: String(from + size) } : {};
    return Promise.resolve({ status: 200, body: { [field]: items.slice(from, from + size), ...cursor } });
  }, acknowledged);
}

const even: Server = {
  logs: [
    ['a', 'DELIVERED'],
    ['b', 'FAILED'],
    ['c', 'CANCELED'],
    ['a', 'CREATED'],
    ['b', 'CREATED'],
    ['c', 'CREATED'],
    ['d', 'CREATED'],
  ],
  letters: ['b'],
  there: ['d'],
};

test('books are even where each message is in one of them', async () => {
  expect(await books(even, ['a', 'b', 'c', 'd'])).toEqual({
    title: 'qstash: published 4 = delivered 1 + pending 1 + dead 1 + cancelled 1',
    failures: [],
  });
});

test.each<[string, Partial<Server>, RegExp]>([
  ['acknowledged and nowhere', { logs: even.logs.filter(([id]) => id !== 'a') }, /^a was acknowledged/],
  ['delivered twice', { logs: [...even.logs, ['a', 'DELIVERED']] }, /^a: begun 1 times, ended: delivered, delivered/],
  [
    'delivered and cancelled',
    { logs: [...even.logs, ['a', 'CANCELED']] },
    /^a: begun 1 times, ended: delivered, cancelled/,
  ],
  ['begun twice', { logs: [...even.logs, ['d', 'CREATED']] }, /^d: begun 2 times/],
  ['failed without a letter', { letters: [] }, /^b: dead, 0 dead letters/],
  ['with two letters', { letters: ['b', 'b'] }, /^b: dead, 2 dead letters/],
  ['delivered and a dead letter', { letters: ['b', 'a'] }, /^a: delivered, 1 dead letters/],
  ['a dead letter of nothing', { letters: ['b', 'x'] }, /^x is a dead letter of nothing/],
  ['neither ended nor there', { there: [] }, /^d has not ended/],
])('a message that is %s is told', async (_, changes, failure) => {
  const { failures } = await books({ ...even, ...changes }, ['a', 'b', 'c', 'd']);
  expect(failures).toEqual([expect.stringMatching(failure)]);
});
