import type { LeasedCall } from '../../core/model/call.ts';

export interface LeaseRequest {
  pool: string;
  max: number;
  holdMs: number;
  waitMs: number;
  holder: string;
}

/** A worker that asked this lately is there: between two of its requests, or while all its hands are full. */
const ABSENT_AFTER_MS = 10_000;

/** Workers' requests for work, held open until there is some; first come, first served within a pool. */
export class HeldLeases {
  #lease: (request: LeaseRequest) => LeasedCall[];
  /** When a pool's last request was answered; wall clock. */
  #answeredAt = new Map<string, number>();
  #waiting = new Map<string, Array<{ request: LeaseRequest; done(calls: LeasedCall[]): void }>>();

  constructor(lease: (request: LeaseRequest) => LeasedCall[]) {
    this.#lease = lease;
  }

  /** Whether a worker asks for this pool's work, or did a moment ago. */
  present(pool: string): boolean {
    return this.#waiting.has(pool) || Date.now() - (this.#answeredAt.get(pool) ?? -Infinity) < ABSENT_AFTER_MS;
  }

  take(request: LeaseRequest): Promise<LeasedCall[]> | LeasedCall[] {
    this.#answeredAt.set(request.pool, Date.now());
    const queue = this.#waiting.get(request.pool);
    const calls = queue && queue.length > 0 ? [] : this.#lease(request);
    if (calls.length > 0 || request.waitMs <= 0) return calls;
    return new Promise((resolve) => {
      const list = this.#waiting.get(request.pool) ?? [];
      this.#waiting.set(request.pool, list);
      const entry = {
        request,
        done: (leased: LeasedCall[]) => {
          clearTimeout(timer);
          const at = list.indexOf(entry);
          if (at >= 0) list.splice(at, 1);
          this.#answeredAt.set(request.pool, Date.now());
          if (list.length === 0 && this.#waiting.get(request.pool) === list) this.#waiting.delete(request.pool);
          resolve(leased);
        },
      };
      const timer = setTimeout(() => entry.done([]), request.waitMs);
      list.push(entry);
    });
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

  /** Answers everyone with nothing. */
  release(): void {
    for (const list of [...this.#waiting.values()]) for (const entry of [...list]) entry.done([]);
  }
}
