/** A call in the hands of a push executor. Kept in memory only: after a restart the call is simply ready again, same attempt. */
export interface PushLease {
  token: string;
  run: string;
  key: string;
  /** The run's sequence that the executor was shown. */
  seq: number;
  attempt: number;
  takenAt: number;
  expiresAt: number;
}

export class LeaseBook {
  #byToken = new Map<string, PushLease>();
  #byCall = new Map<string, PushLease>();

  get size(): number {
    return this.#byToken.size;
  }

  add(lease: PushLease): void {
    this.#byToken.set(lease.token, lease);
    this.#byCall.set(callId(lease.run, lease.key), lease);
  }

  remove(lease: PushLease): void {
    this.#byToken.delete(lease.token);
    const id = callId(lease.run, lease.key);
    if (this.#byCall.get(id) === lease) this.#byCall.delete(id);
  }

  get(token: string): PushLease | undefined {
    return this.#byToken.get(token);
  }

  of(run: string, key: string): PushLease | undefined {
    return this.#byCall.get(callId(run, key));
  }

  all(): Iterable<PushLease> {
    return this.#byToken.values();
  }

  expired(nowMs: number): PushLease[] {
    return [...this.#byToken.values()].filter((lease) => lease.expiresAt <= nowMs);
  }
}

function callId(run: string, key: string): string {
  return `${run} ${key}`;
}
