import type { LeasedCall } from '../../core/model/call.ts';

export interface LeaseRequest {
  pool: string;
  also?: string[];
  max: number;
  holdMs: number;
  waitMs: number;
  holder: string;
}

interface HeldLease {
  request: LeaseRequest;
  done(calls: LeasedCall[]): void;
}

/** A worker that asked this lately is there: between two of its requests, or while all its hands are full. */
const ABSENT_AFTER_MS = 10_000;
/** After the release: whoever asks again and again shall not do so without a pause. */
const RELEASED_HOLD_MS = 100;

/** Workers' requests for work, held open until there is some; first come, first served within a pool. */
export class HeldLeases {
  #lease: (request: LeaseRequest) => LeasedCall[];
  /** When a pool's last request was answered; wall clock. */
  #answeredAt = new Map<string, number>();
  #waiting = new Map<string, HeldLease[]>();
  #isReleased = false;

  constructor(lease: (request: LeaseRequest) => LeasedCall[]) {
    this.#lease = lease;
  }

  /** Whether a worker asks for this pool's work, or did a moment ago. */
  present(pool: string): boolean {
    return this.#waiting.has(pool) || Date.now() - (this.#answeredAt.get(pool) ?? -Infinity) < ABSENT_AFTER_MS;
  }

  take(request: LeaseRequest): Promise<LeasedCall[]> | LeasedCall[] {
    const pools = [request.pool, ...(request.also ?? [])];
    this.#asked(pools);
    const queue = this.#waiting.get(request.pool);
    const calls = queue && queue.length > 0 ? [] : this.#lease(request);
    if (calls.length > 0 || request.waitMs <= 0) return calls;
    const waitMs = this.#isReleased ? Math.min(request.waitMs, RELEASED_HOLD_MS) : request.waitMs;
    return new Promise((resolve) => {
      const entry = {
        request,
        done: (leased: LeasedCall[]) => {
          clearTimeout(timer);
          this.#asked(pools);
          for (const pool of pools) this.#leave(pool, entry);
          resolve(leased);
        },
      };
      const timer = setTimeout(() => entry.done([]), waitMs);
      for (const pool of pools) {
        const list = this.#waiting.get(pool);
        if (list) list.push(entry);
        else this.#waiting.set(pool, [entry]);
      }
    });
  }

  #asked(pools: string[]): void {
    for (const pool of pools) this.#answeredAt.set(pool, Date.now());
  }

  #leave(pool: string, entry: HeldLease): void {
    const list = this.#waiting.get(pool) ?? [];
    const at = list.indexOf(entry);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) this.#waiting.delete(pool);
  }

  ready(pools: string[]): void {
    for (const pool of pools) {
      for (const entry of [...(this.#waiting.get(pool) ?? [])]) {
        const calls = this.#lease(entry.request);
        if (calls.length === 0) break;
        entry.done(calls);
      }
    }
  }

  /** Answers everyone with nothing, and from now on soon. */
  release(): void {
    this.#isReleased = true;
    for (const list of [...this.#waiting.values()]) for (const entry of [...list]) entry.done([]);
  }
}
