export type LoadName = 'inngest' | 'qstash' | 'trigger';

interface Item {
  load: LoadName;
  round: number;
  /** The server's own id for it, from the acknowledgement. */
  serverId: string;
}

/** Work younger than this at the kill may run again: on a busy machine its report may still have been on its way. */
const REPORTED_AFTER_MS = 2_000;
/**
 * What was sent before the kill may be handled by a busy app after it: up to this part of the time until the server was back, for a server that
 * only starts sends nothing.
 */
const IN_TRANSIT = 0.5;

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
  #kills: Array<{ atMs: number; backMs: number }> = [];

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
    const explained = this.#kills.some(
      ({ atMs, backMs }) => before < atMs + (backMs - atMs) * IN_TRANSIT && before > atMs - REPORTED_AFTER_MS,
    );
    const nextKill = this.#kills.find(({ atMs }) => atMs > before);
    if (nextKill) this.oldestRepeatMs = Math.max(this.oldestRepeatMs, nextKill.atMs - before);
    const lastKill = this.#kills.at(-1)?.atMs;
    if (!explained) this.violate(`${key} was finished at ${before} and again at ${nowMs}; last kill at ${lastKill}`);
  }

  killed(nowMs = Date.now()): void {
    this.#kills.push({ atMs: nowMs, backMs: Number.POSITIVE_INFINITY });
  }

  /** The server answers again. */
  returned(nowMs = Date.now()): void {
    const last = this.#kills.at(-1);
    if (last) last.backMs = nowMs;
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
