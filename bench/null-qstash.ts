// Signs and delivers each message at once, and forgets.
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { send, serveNull } from './null-server.ts';

const KEY = 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r';
const HEAD = base64url(JSON.stringify({ alg: 'HS256', typ: 'JWT' }));
const PUBLISH = '/v2/publish/';

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function sign(url: string, body: string): string {
  const seconds = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'Upstash',
    sub: url,
    exp: seconds + 300,
    nbf: 0,
    iat: seconds,
    jti: `jwt_${randomUUID()}`,
    body: createHash('sha256').update(body).digest('base64url'),
  };
  const signed = `${HEAD}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${createHmac('sha256', KEY).update(signed).digest('base64url')}`;
}

function deliver(url: string, body: string, type: string, messageId: string): void {
  const headers = {
    'content-type': type,
    'upstash-message-id': messageId,
    'upstash-retried': '0',
    'upstash-signature': sign(url, body),
  };
  void send(url, body, headers);
}

serveNull(({ path, body, headers }) => {
  if (!path.startsWith(PUBLISH)) return { status: 404, body: { error: 'not found' } };
  const messageId = `msg_${randomBytes(12).toString('hex')}`;
  const after = (): void =>
    deliver(path.slice(PUBLISH.length), body, headers['content-type'] ?? 'text/plain', messageId);
  return { body: { messageId }, after };
});
