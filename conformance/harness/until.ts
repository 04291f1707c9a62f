import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  /** Default 10,000. */
  timeoutMs?: number;
  /** Default 20. */
  everyMs?: number;
  /** Completes "gave up waiting for …". */
  what?: string;
  signal?: AbortSignal;
}

/**
 * Polls until the predicate answers something truthy, and returns that. An exception of the predicate counts as "not yet".
 * @throws Error naming what was awaited and the last answer, after `timeoutMs`
 */
export async function until<T>(predicate: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, everyMs = 20, what = 'a condition', signal } = options;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await predicate();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      const seen = last instanceof Error ? `${last.name}: ${last.message}` : JSON.stringify(last);
      throw new Error(
        `gave up waiting for ${what} after ${timeoutMs} ms; last seen: ${seen}`,
        last instanceof Error ? { cause: last } : undefined,
      );
    }
    await delay(everyMs);
  }
}
