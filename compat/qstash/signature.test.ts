import { Receiver } from '@upstash/qstash';
import { expect, test } from 'vitest';
import { sign } from './signature.ts';

const receiver = new Receiver({ currentSigningKey: 'sig_current', nextSigningKey: 'sig_next' });
const bytes = new TextEncoder().encode('wörld');

test.each(['sig_current', 'sig_next'])("the vendor's receiver accepts a signature by %s", async (key) => {
  const signature = await sign(key, 'https://a.test/x?y=1', bytes, Date.now());
  expect(await receiver.verify({ signature, body: 'wörld', url: 'https://a.test/x?y=1' })).toBe(true);
});

test('and no other key, body or URL', async () => {
  const now = Date.now();
  const other = await sign('sig_other', 'https://a.test', bytes, now);
  await expect(receiver.verify({ signature: other, body: 'wörld' })).rejects.toThrow(/signature/);
  const signature = await sign('sig_current', 'https://a.test', bytes, now);
  await expect(receiver.verify({ signature, body: 'world' })).rejects.toThrow(/body hash/);
  await expect(receiver.verify({ signature, body: 'wörld', url: 'https://b.test' })).rejects.toThrow(/subject/);
  const expired = await sign('sig_current', 'https://a.test', bytes, now - 400_000);
  await expect(receiver.verify({ signature: expired, body: 'wörld' })).rejects.toThrow(/signature/);
});
