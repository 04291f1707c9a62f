import type { Engine } from '../../core/index.ts';
import { NEVER_MS } from '../../core/model/limits.ts';
import type { MovableClock } from './movable-clock.ts';

const POLL_MS = 2;

/** Moves time through every timer in order, waiting between them until nothing is under way: a month in a moment, in the order of the month. */
export class TimeControl {
  #engine: Engine;
  #clock: MovableClock;
  #committing: () => boolean;

  constructor(engine: Engine, clock: MovableClock, committing: () => boolean) {
    this.#engine = engine;
    this.#clock = clock;
    this.#committing = committing;
  }

  /** `idle` is false when an app was still working on a call after timeoutMs of real time; time has moved all the same. */
  async advance(toMs: number, timeoutMs: number): Promise<{ nowMs: number; idle: boolean }> {
    let idle = (await this.idle(timeoutMs)).idle;
    for (;;) {
      const next = this.#engine.kernel.nextDue;
      if (next > toMs) break;
      this.#moveTo(next);
      idle = (await this.idle(timeoutMs)).idle;
    }
    this.#moveTo(toMs);
    idle = (await this.idle(timeoutMs)).idle && idle;
    return { nowMs: this.#clock.now(), idle };
  }

  #moveTo(atMs: number): void {
    this.#clock.set(atMs);
    // The alarm that is set is one of the clock as it stood: what is due next may be due before it now.
    this.#engine.forgetAlarm();
    while (this.#engine.wake());
  }

  /** Waits until no call is under way and nothing is ready for a push executor. */
  async idle(timeoutMs: number): Promise<{ idle: boolean; inFlight: number; ready: number; nextDueAt: number | null }> {
    const { kernel } = this.#engine;
    const deadline = Date.now() + timeoutMs;
    const busy = (): boolean => kernel.leases.size > 0 || kernel.ready.size > 0 || this.#committing();
    while (busy() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return {
      idle: !busy(),
      inFlight: kernel.leases.size,
      ready: kernel.ready.size,
      nextDueAt: kernel.nextDue >= NEVER_MS ? null : kernel.nextDue,
    };
  }
}
