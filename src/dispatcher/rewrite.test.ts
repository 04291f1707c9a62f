import { expect, it } from 'vitest';
import { parseHostMap, rewrite } from './rewrite.ts';

const HOSTS = parseHostMap(
  'api.example.com=http://127.0.0.1:4000, *.example.org=https://localhost:5000/ignored,example.net:8080=http://a',
);

it.each([
  ['https://api.example.com/a//b?c=d%20e#f', 'http://127.0.0.1:4000/a//b?c=d%20e#f'],
  ['https://API.example.com', 'http://127.0.0.1:4000/'],
  ['https://api.example.com?x=1', 'http://127.0.0.1:4000/?x=1'],
  ['http://api.example.com:99/x', 'http://127.0.0.1:4000/x'],
  ['http://a.b.example.org/x', 'https://localhost:5000/x'],
  ['http://example.net:8080/', 'http://a/'],
  ['https://user:pass@api.example.com/x', 'http://127.0.0.1:4000/x'],
])('%s goes to %s', (url, target) => expect(rewrite(url, HOSTS)).toBe(target));

it.each([
  'https://example.com/',
  'https://example.org/',
  'http://example.net/',
  'https://api.example.com.evil/',
  'nonsense',
])('%s goes where it says', (url) => expect(rewrite(url, HOSTS)).toBe(url));

it('refuses a map that it cannot read, and takes none', () => {
  expect(() => parseHostMap('example.com')).toThrow(/REPOINT_REWRITE_HOSTS: "example.com" is not host=/);
  expect(() => parseHostMap('a b=http://c')).toThrow(/is not host=/);
  expect(() => parseHostMap('example.com=ftp://c')).toThrow(/is not host=/);
  expect(parseHostMap(undefined).size).toBe(0);
});
