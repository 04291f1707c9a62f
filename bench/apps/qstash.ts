import { setTimeout as delay } from 'node:timers/promises';
import { Client, Receiver } from '@upstash/qstash';
import { serveHttp } from '../../conformance/harness/serve.ts';
import { inParallel } from '../http.ts';
import type { Sample } from '../measure.ts';

// The public credentials of the vendor's own dev server (upstash/qstash-js: src/dev-server/constants.ts).
const TOKEN = 'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=';
const CURRENT_KEY = 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r';
const NEXT_KEY = 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs';
const MESSAGE_LIMIT_MS = 30_000;
const PADDING = 'x'.repeat(64);

interface Message {
  sentAt: number;
  deliveries: number;
}

export interface QstashBench {
  /** One message at a time: publish called to body received. */
  latency(messages: number): Promise<Sample>;
  throughput(messages: number, width: number): Promise<Sample>;
  close(): Promise<void>;
}

/** An endpoint in this process that verifies every delivery's signature with the official receiver, and the official client. */
export async function openQstash(url: string): Promise<QstashBench> {
  const client = new Client({ baseUrl: url, token: TOKEN, retry: false, enableTelemetry: false });
  const receiver = new Receiver({ currentSigningKey: CURRENT_KEY, nextSigningKey: NEXT_KEY });
  const messages = new Map<string, Message>();
  let serial = 0;
  let badSignatures = 0;
  let onDelivered = (_message: Message, _atMs: number): void => {};

  const app = await serveHttp(async (request) => {
    const body = await request.text();
    const at = performance.now();
    try {
      const signature = request.headers.get('upstash-signature') ?? '';
      await receiver.verify({ signature, body, url: `${app.url}/hook`, clockTolerance: 5 });
    } catch {
      badSignatures++;
      return new Response(null, { status: 401 });
    }
    const message = messages.get((JSON.parse(body) as { k: string }).k);
    if (message && message.deliveries++ === 0) onDelivered(message, at);
    return new Response('ok');
  });

  async function publish(key: string): Promise<void> {
    await client.publishJSON({ url: `${app.url}/hook`, body: { k: key, padding: PADDING } });
  }

  function newMessage(): { key: string; message: Message } {
    const key = `m${serial++}`;
    const message = { sentAt: performance.now(), deliveries: 0 };
    messages.set(key, message);
    return { key, message };
  }

  function sample(times: number[], count: number, seconds?: number): Sample {
    const duplicates = [...messages.values()].reduce((sum, message) => sum + Math.max(0, message.deliveries - 1), 0);
    const more = badSignatures > 0 ? { 'bad signatures': badSignatures } : undefined;
    return { of: 'publish to delivery', times, seconds, duplicates, lost: count - times.length, more };
  }

  return {
    async latency(count) {
      messages.clear();
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const { key, message } = newMessage();
        const delivered = new Promise<void>((resolve) => {
          onDelivered = (arrived, at) => {
            if (arrived !== message) return;
            times.push(at - message.sentAt);
            resolve();
          };
        });
        await publish(key);
        await Promise.race([delivered, delay(MESSAGE_LIMIT_MS, undefined, { ref: false })]);
        await delay(5 + Math.random() * 15);
      }
      return sample(times, count);
    },

    async throughput(count, width) {
      messages.clear();
      const times: number[] = [];
      const waiting = new Map<Message, () => void>();
      onDelivered = (message, at) => {
        times.push(at - message.sentAt);
        waiting.get(message)?.();
      };
      let sent = 0;
      const startedAt = performance.now();
      await inParallel(width, async () => {
        if (sent >= count) return false;
        sent++;
        const { key, message } = newMessage();
        const delivered = new Promise<void>((resolve) => waiting.set(message, resolve));
        await publish(key);
        await Promise.race([delivered, delay(MESSAGE_LIMIT_MS, undefined, { ref: false })]);
        return true;
      });
      const seconds = (performance.now() - startedAt) / 1000;
      await delay(200);
      return sample(times, count, seconds);
    },

    close: () => app.close(),
  };
}
