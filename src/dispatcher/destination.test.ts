import { expect, it } from 'vitest';
import { refusal } from './destination.ts';

const PRIVATE = [
  'http://localhost:3000/x',
  'http://127.0.0.1',
  'http://127.1',
  'http://0x7f000001/',
  'http://2130706433/',
  'http://0177.0.0.1/',
  'http://10.0.0.1',
  'http://172.16.0.1',
  'http://172.31.255.255',
  'http://192.168.1.1',
  'http://169.254.169.254/latest/meta-data',
  'http://100.64.0.1',
  'http://0.0.0.0',
  'http://[::1]/',
  'http://[::]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:a00:1]/',
  'http://[fd00::1]/',
  'http://[fe80::1]/',
  'http://printer.local/',
  'http://metadata.google.internal/',
  'http://app.localhost./',
];

it.each(PRIVATE)('refuses %s in production mode and allows it in dev mode', (url) => {
  expect(refusal(url, 'production', false)).toMatch(/private address/);
  expect(refusal(url, 'dev', false)).toBeNull();
  expect(refusal(url, 'production', true)).toBeNull();
});

it.each([
  'https://example.com/a',
  'http://8.8.8.8',
  'http://172.32.0.1',
  'http://[2606:4700::1111]/',
  'http://localhost.example.com',
])('allows %s in production mode', (url) => expect(refusal(url, 'production', false)).toBeNull());

it('refuses what is not http, in every mode', () => {
  expect(refusal('ftp://example.com', 'dev', true)).toMatch(/only http/);
  expect(refusal('nonsense', 'dev', true)).toMatch(/not a URL/);
});
