import { counterOf, type Rate } from '../model/limit.ts';
import type { LimitSpec } from '../model/task.ts';
import type { Sql } from '../ports.ts';
import { LimitRules } from './limit-rules.ts';
import { RateBook } from './rate-book.ts';

interface Counter {
  /** As the newest run brought it. */
  spec: LimitSpec;
  /** Holder → the runs that share its place, null: only the holder itself. */
  holders: Map<string, Set<string> | null>;
}

/**
 * Who holds which limit, by counter (model/limit.ts): in memory while something holds it or waits for it. Holders follow from the leases, and after a restart from
 * the pending rows marked as held. `take` and `release` are each other's inverse, so a rolled-back transaction can be undone.
 */
export class LimitBook {
  readonly rules: LimitRules;
  readonly rates: RateBook;
  #counters = new Map<string, Counter>();
  /** Whether calls wait for a counter: what is known of it is kept for them. */
  readonly #isWaitedFor: (counter: string) => boolean;

  constructor(sql: Sql, isWaitedFor: (counter: string) => boolean) {
    this.#isWaitedFor = isWaitedFor;
    this.rules = new LimitRules(sql);
    this.rates = new RateBook(sql);
  }

  /** After a transaction that failed. Holders are given back by their inverse. */
  reload(): void {
    this.rules.reload();
    this.rates.forget();
    for (const counter of this.#counters.keys()) this.forgetIdle(counter);
  }

  /** What counts for a limit: what was set for its sub-key or for it, else what the newest run brought while something held it or waited for it, else this one. */
  bound(spec: LimitSpec, counter = counterOf(spec)): { max: number; rate: Rate | undefined; paused: boolean } {
    const rule = this.rules.get(spec.key);
    const newest = spec.own ? spec : (this.#counters.get(counter)?.spec ?? spec);
    const max = (spec.sub === undefined ? undefined : this.rules.subMax(counter)) ?? rule?.max ?? newest.max;
    return { max, rate: rule?.rate ?? newest.rate, paused: rule?.paused ?? false };
  }

  /** The bound that the newest run brings. Nothing is remembered of a counter that nobody holds or waits for. True when it is another one now. */
  declare(spec: LimitSpec): boolean {
    const id = counterOf(spec);
    const counter = this.#counters.get(id);
    if (!counter) {
      if (!this.#isWaitedFor(id)) return false;
      this.#counters.set(id, { spec, holders: new Map() });
      return true;
    }
    const { spec: before } = counter;
    if (before.max === spec.max && JSON.stringify(before.rate) === JSON.stringify(spec.rate)) return false;
    counter.spec = spec;
    return true;
  }

  /** Puts the bound back that was known before `declare`. */
  undeclare(counter: string, before: LimitSpec | undefined): void {
    const known = this.#counters.get(counter);
    if (known && before) known.spec = before;
  }

  /** Nobody waits for it any more. */
  forgetIdle(counter: string): void {
    if (this.#counters.get(counter)?.holders.size === 0 && !this.#isWaitedFor(counter)) this.#counters.delete(counter);
  }

  counters(): Array<{ counter: string; spec: LimitSpec; held: number }> {
    return [...this.#counters].map(([counter, { spec, holders }]) => ({ counter, spec, held: holders.size }));
  }

  newest(counter: string): LimitSpec | undefined {
    return this.#counters.get(counter)?.spec;
  }

  held(counter: string): number {
    return this.#counters.get(counter)?.holders.size ?? 0;
  }

  /** Whether the holder has its place; with `member`, whether that run is one of those who keep it. */
  holds(counter: string, holder: string, member = ''): boolean {
    const members = this.#counters.get(counter)?.holders.get(holder);
    if (members === undefined) return false;
    return member === '' || (members === null ? member === holder : members.has(member));
  }

  /** How many more may take the limit now. `withRate`: whether its rate is asked too. */
  room(spec: LimitSpec, nowMs: number, withRate: boolean, counter = counterOf(spec)): number {
    const { max, rate, paused } = this.bound(spec, counter);
    if (paused) return 0;
    const slots = Math.max(0, max - this.held(counter));
    return slots === 0 || !rate || !withRate ? slots : Math.min(slots, this.rates.room(counter, rate, nowMs));
  }

  take(spec: LimitSpec, holder: string, member = holder): void {
    const id = counterOf(spec);
    let counter = this.#counters.get(id);
    if (!counter) this.#counters.set(id, (counter = { spec, holders: new Map() }));
    const members = counter.holders.get(holder);
    if (member === holder && members === undefined) counter.holders.set(holder, null);
    else if (members === undefined) counter.holders.set(holder, new Set([member]));
    else if (members === null) counter.holders.set(holder, new Set([holder, member]));
    else members.add(member);
  }

  /** Takes a hold back. True when the place is free now. */
  release(counter: string, holder: string, member = holder): boolean {
    const known = this.#counters.get(counter);
    const members = known?.holders.get(holder);
    if (!known || members === undefined) return false;
    if (members !== null) {
      members.delete(member);
      if (members.size > 0) return false;
    } else if (member !== holder) return false;
    known.holders.delete(holder);
    this.forgetIdle(counter);
    return true;
  }
}

/** The name under which a call of a run holds a limit. `holder`: the one that the run keeps its place for. */
export function holderOf(spec: LimitSpec, head: { id: string; holder?: string }, callKey: string): string {
  return spec.hold === 'run' ? (head.holder ?? head.id) : `${head.id} ${callKey}`;
}
