export type LoadName = 'inngest' | 'qstash' | 'trigger';

interface Item {
  load: LoadName;
  round: number;
  /** The server's own id for it, from the acknowledgement. */
  serverId: string;
}

/** Work younger than this at the kill may run again: on a busy machine its report may still have been on its way. */
const REPORTED_AFTER_MS = 2_000;
/** What was sent before the kill may reach a busy app after it. */
const IN_TRANSIT_MS = 250;

/** What was acknowledged to us, and what was done: the two lists that must agree in the end. */
export class Ledger {
  readonly acknowledged = new Map<string, Item>();
  readonly violations: string[] = [];
  /** Work done again that a kill explains: at-least-once, as promised. */
  repeats: Record<LoadName, number> = { inngest: 0, qstash: 0, trigger: 0 };
  /** How old, at the kill, the oldest work was that was done again. */
  oldestRepeatMs = 0;
  /** Requests that got no answer: they may or may not have happened. */
  unanswered = 0;
  refused = 0;
  round = 0;
  #finishedAt = new Map<string, number>();
  #open: Record<LoadName, number> = { inngest: 0, qstash: 0, trigger: 0 };
  #killedAt: number[] = [];

  acknowledge(load: LoadName, key: string, serverId: string): void {
    this.acknowledged.set(key, { load, round: this.round, serverId });
    // A short piece of work may be finished before its acknowledgement has arrived.
    if (!this.#finishedAt.has(key)) this.#open[load]++;
  }

  finish(key: string, nowMs = Date.now()): void {
    const before = this.#finishedAt.get(key);
    if (before === undefined) {
      this.#finishedAt.set(key, nowMs);
      const item = this.acknowledged.get(key);
      if (item) this.#open[item.load]--;
      return;
    }
    const load = key.slice(0, key.indexOf('-')) as LoadName;
    this.repeats[load]++;
    // Finished well before a kill and done once more after it: no lost report explains that.
    const explained = this.#killedAt.some((at) => before < at + IN_TRANSIT_MS && before > at - REPORTED_AFTER_MS);
    const nextKill = this.#killedAt.find((at) => at > before);
    if (nextKill !== undefined) this.oldestRepeatMs = Math.max(this.oldestRepeatMs, nextKill - before);
    const lastKill = this.#killedAt.at(-1);
    if (!explained) this.violate(`${key} was finished at ${before} and again at ${nowMs}; last kill at ${lastKill}`);
  }

  killed(nowMs = Date.now()): void {
    this.#killedAt.push(nowMs);
  }

  violate(text: string): void {
    this.violations.push(`round ${this.round}: ${text}`);
  }

  isFinished(key: string): boolean {
    return this.#finishedAt.has(key);
  }

  openOf(load: LoadName): number {
    return this.#open[load];
  }

  /** Acknowledged and not done. */
  open(): Array<{ key: string } & Item> {
    return [...this.acknowledged]
      .filter(([key]) => !this.#finishedAt.has(key))
      .map(([key, item]) => ({ key, ...item }));
  }

  count(load: LoadName): { acknowledged: number; finished: number } {
    let acknowledged = 0;
    let finished = 0;
    for (const [key, item] of this.acknowledged) {
      if (item.load !== load) continue;
      acknowledged++;
      if (this.#finishedAt.has(key)) finished++;
    }
    return { acknowledged, finished };
  }
}
