import { expect, test } from 'vitest';
import { parseDestination, splitTarget } from './destination.ts';

const BASE = 'http://127.0.0.1:8288';

test.each([
  ['http://a.test', 'http://a.test'],
  ['https://a.test/x//y?q=1&r=a%20b', 'https://a.test/x//y?q=1&r=a%20b'],
  ['https%3A%2F%2Fa.test%2Fx', 'https://a.test/x'],
  ['https://a.test/x?qstash_token=secret', 'https://a.test/x'],
  ['https://a.test/x?a=1&qstash_token=secret&b=2', 'https://a.test/x?a=1&b=2'],
  ['https://a.test/x?upstash-retries=3', 'https://a.test/x'],
  ['my-group', 'my-group'],
])('%s is sent to %s', (sent, destination) => {
  expect(splitTarget(`${BASE}/v2/publish/${sent}`, '/v2/publish/').destination).toBe(destination);
});

test('options in the query become headers, whatever their case', () => {
  const { options } = splitTarget(
    `${BASE}/v2/publish/https://a.test?Upstash-Delay=10%20s&upstash-retries=3&x=1`,
    '/v2/publish/',
  );
  expect(options).toEqual([
    ['upstash-delay', '10 s'],
    ['upstash-retries', '3'],
  ]);
});

test('a capital S in the path is the same path', () => {
  expect(splitTarget(`${BASE}/v2/Schedules/https://a.test/S`, '/v2/schedules/').destination).toBe('https://a.test/S');
});

test('a destination is a URL or the name of a group', () => {
  expect(parseDestination('https://a.test/x')).toEqual({ kind: 'url', url: 'https://a.test/x' });
  expect(parseDestination('my-group_1.0')).toEqual({ kind: 'group', name: 'my-group_1.0' });
});

test.each(['', 'ftp://a.test', 'https://', 'https:///x', 'a b', 'a/b', `https://a.test/${'x'.repeat(9_000)}`])(
  '%j is refused',
  (text) => {
    expect(() => parseDestination(text)).toThrow(/invalid destination/);
  },
);

test("the vendor's own destinations are not served, and say so", () => {
  expect(() => parseDestination('api/llm')).toThrow(expect.objectContaining({ status: 501 }));
});
