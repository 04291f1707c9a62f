import { beforeEach, describe, expect, it } from 'vitest';
import type { ChannelSocket, EnvironmentContext, SocketHost, SocketProtocol } from '../../../core/ports.ts';
import { asJson, messageFrame } from './messages.ts';
import { realtimeProtocol } from './protocol.ts';
import { environmentOfToken, issueRealtimeToken, readRealtimeToken } from './token.ts';

const KEY = 'signkey-test-00ff';
const contextWith = (vars: Record<string, string>): EnvironmentContext => ({
  mode: 'production',
  environment: 'default',
  serverUrl: 'http://server',
  wallClockMs: () => Date.now(),
  vars,
});
const context = contextWith({ INNGEST_SIGNING_KEY: KEY });
const TOPICS = [{ channel: 'c', name: 't' }];

describe('a token', () => {
  it('carries its topics, for as long as one may connect with it', async () => {
    expect(await readRealtimeToken(context, await issueRealtimeToken(context, TOPICS))).toEqual(TOPICS);
    expect(await readRealtimeToken(context, await issueRealtimeToken(context, TOPICS, -1))).toBeNull();
  });

  it('is read with the key that signed it only, the fallback included', async () => {
    const token = await issueRealtimeToken(context, TOPICS);
    expect(await readRealtimeToken(contextWith({ INNGEST_SIGNING_KEY: 'signkey-test-1234' }), token)).toBeNull();
    const rotated = { INNGEST_SIGNING_KEY: 'signkey-test-1234', INNGEST_SIGNING_KEY_FALLBACK: KEY };
    expect(await readRealtimeToken(contextWith(rotated), token)).toEqual(TOPICS);
    expect(await readRealtimeToken(context, 'nonsense')).toBeNull();
  });
});

it('a message carries its data as it came', () => {
  const frame = messageFrame(
    { kind: 'data', channel: 'c', environment: 'default', topic: 't', runId: 'r', createdAtMs: 0 },
    asJson('{"n":1.50,"text":"ü"}'),
  );
  expect(frame).toContain('"data":{"n":1.50,"text":"ü"}}');
  expect(JSON.parse(frame)).toMatchObject({ kind: 'data', channel: 'c', topic: 't', run_id: 'r' });
  expect(asJson('just text')).toBe('"just text"');
});

it('a token counts in the environment that it was made in only', async () => {
  const token = await issueRealtimeToken({ ...context, environment: 'staging' }, TOPICS);
  expect(environmentOfToken(token)).toBe('staging');
  expect(await readRealtimeToken({ ...context, environment: 'staging' }, token)).toEqual(TOPICS);
  expect(await readRealtimeToken(context, token)).toBeNull();
  expect(environmentOfToken('nonsense')).toBeNull();
});

describe('a connection', () => {
  let followed: string[];
  let sent: unknown[];
  let closed: number | undefined;
  let socket: ChannelSocket;
  let protocol: SocketProtocol;

  beforeEach(() => {
    followed = ['t'];
    sent = [];
    closed = undefined;
    socket = {
      id: 's',
      data: JSON.stringify({ channel: 'c' }),
      state: '',
      send: (frame) => void sent.push(frame),
      close: (code) => void (closed = code),
      topics: () => followed,
      follow: (topics) => void followed.push(...topics),
      unfollow: (topics) => void (followed = followed.filter((topic) => !topics.includes(topic))),
    };
    protocol = realtimeProtocol({ context, sockets: () => [socket] } as Partial<SocketHost> as SocketHost);
  });

  const say = async (kind: string, data: string): Promise<void> =>
    protocol.received(socket, JSON.stringify({ kind, data }));

  it('takes topics on and lets go of them, each with a token for it', async () => {
    await say('sub', await issueRealtimeToken(context, [{ channel: 'c', name: 'u' }]));
    expect(followed).toEqual(['t', 'u']);
    await say('unsub', await issueRealtimeToken(context, TOPICS));
    expect(followed).toEqual(['u']);
    await protocol.received(socket, 'no JSON');
    await protocol.received(socket, '{"kind":"pong"}');
    expect(closed).toBeUndefined();
  });

  it('ends with a token that is not genuine, or of another channel', async () => {
    await say('sub', 'forged');
    expect(closed).toBe(1008);
    closed = undefined;
    await say('sub', await issueRealtimeToken(context, [{ channel: 'another', name: 't' }]));
    expect(closed).toBe(1008);
    expect(followed).toEqual(['t']);
  });

  it('is kept alive', () => {
    void protocol.tick?.run();
    expect(sent).toEqual(['{"kind":"ping"}']);
  });
});
