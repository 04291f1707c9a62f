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
  'http://localhost../',
  'http://LOCALHOST',
  'http://127.0.0.1./',
  'http://user:pass@127.0.0.1/',
  'http://①②⑦.⓪.⓪.①/',
  'http://[::127.0.0.1]/',
  'http://[::7f00]/',
  'http://[::ffff:0:127.0.0.1]/',
  'http://[::ffff:169.254.169.254]/',
  'http://[0:0:0:0:0:ffff:c0a8:0101]/',
  'http://[2002:7f00:1::]/',
  'http://[2002:c0a8:101::1]/',
  'http://[2001::1]/',
  'http://[2001:db8::1]/',
  'http://[100::1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::1]/',
  'http://[fec0::1]/',
  'http://[ff02::1]/',
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
  'http://[2001:4860:4860::8888]/',
  'http://[::ffff:8.8.8.8]/',
  'http://[2002:808:808::1]/',
  'http://fc00.example.com/',
  'http://localhost.example.com',
])('allows %s in production mode', (url) => expect(refusal(url, 'production', false)).toBeNull());

it('refuses what is not http, in every mode', () => {
  expect(refusal('ftp://example.com', 'dev', true)).toMatch(/only http/);
  expect(refusal('nonsense', 'dev', true)).toMatch(/not a URL/);
});
