import type { CellApi } from '../../../core/ports.ts';
import { runIdOf } from '../ids.ts';
import { notifyFrame } from './frames.ts';

/** How long one look at a run is held open. */
const WATCH_MS = 25_000;
/** A worker that is busy with one notification drops the next (trigger.dev: dev-run-controller handleSnapshotChangeLock): said again after this. */
const REPEAT_MS = 250;
/** Pause after a failed look, so that an unreachable engine is not asked in a loop. */
const AFTER_FAILURE_MS = 1_000;
const MAX_SUBSCRIPTIONS = 500;

/** Tells a worker about changes of the runs that it executes, until it lets go of them. */
export class Subscriptions {
  readonly #cell: CellApi;
  readonly #send: (frame: string) => void;
  readonly #active = new Map<string, { stopped: boolean }>();

  constructor(cell: CellApi, send: (frame: string) => void) {
    this.#cell = cell;
    this.#send = send;
  }

  get size(): number {
    return this.#active.size;
  }

  /** Resolves when the run is let go of or is no more; null when there is nothing to follow. */
  subscribe(publicId: string): Promise<void> | null {
    const run = runIdOf(publicId);
    if (run === null || this.#active.has(publicId) || this.#active.size >= MAX_SUBSCRIPTIONS) return null;
    const subscription = { stopped: false };
    this.#active.set(publicId, subscription);
    return this.#follow(run, publicId, subscription);
  }

  unsubscribe(publicId: string): void {
    const subscription = this.#active.get(publicId);
    if (subscription) subscription.stopped = true;
    this.#active.delete(publicId);
  }

  close(): void {
    for (const publicId of [...this.#active.keys()]) this.unsubscribe(publicId);
  }

  async #follow(run: string, publicId: string, subscription: { stopped: boolean }): Promise<void> {
    let seq = -1;
    while (!subscription.stopped) {
      let newest: number | null;
      try {
        newest = await this.#cell.watch({ run, afterSeq: Math.max(seq, 0), waitMs: seq < 0 ? 0 : WATCH_MS });
      } catch {
        await pause(AFTER_FAILURE_MS);
        continue;
      }
      if (newest === null) return this.unsubscribe(publicId);
      if (subscription.stopped) return;
      // The worker knows what was there when it subscribed.
      if (seq >= 0 && newest > seq) {
        this.#send(notifyFrame(publicId));
        setTimeout(() => {
          if (!subscription.stopped) this.#send(notifyFrame(publicId));
        }, REPEAT_MS);
      }
      seq = Math.max(seq, newest);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
