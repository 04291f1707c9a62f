import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, inParallel } from '../http.ts';
import type { Sample } from '../measure.ts';

export type Door = 'events' | 'raw';

/** Concurrent single writes that start nothing: through our event route, or as one insert per request of the raw object. */
export async function ingest(
  url: string,
  door: Door,
  options: { seconds: number; width: number; batch: number; pauseMs?: number },
): Promise<Sample> {
  const client = new HttpClient(options.width);
  const target = door === 'events' ? `${url}/e/bench` : `${url}/`;
  const event = { name: 'bench/nothing', data: { text: 'x'.repeat(64) } };
  const body = JSON.stringify(options.batch === 1 ? event : Array.from({ length: options.batch }, () => event));
  const times: number[] = [];
  let failed = 0;
  const startedAt = performance.now();
  const end = startedAt + options.seconds * 1000;
  await inParallel(options.width, async () => {
    const at = performance.now();
    if (at >= end) return false;
    const { status } = await client.post(target, body);
    if (status === 200) times.push(performance.now() - at);
    else failed++;
    if (options.pauseMs !== undefined) await delay(options.pauseMs);
    return true;
  });
  const seconds = (performance.now() - startedAt) / 1000;
  client.close();
  const rows = (times.length * options.batch) / seconds;
  return {
    of: 'request',
    times,
    seconds,
    duplicates: 0,
    lost: failed,
    more: options.batch > 1 ? { 'rows/s': rows } : undefined,
  };
}
