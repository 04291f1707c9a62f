/** What must hold after every transition, by class; the name is what a run prints, the text what it promises. */
export const INVARIANTS = {
  acknowledged: 'nothing acknowledged is lost, nothing written is rewritten',
  memo: 'a memoised step is never asked for again, and keeps its first value',
  lease: 'a call has at most one live lease; a live one is honoured, another is not',
  limit: 'limits are never exceeded and never leak',
  order: 'a lane keeps its order through retries and restarts',
  group: 'the main call waits for the last of its group',
  fold: 'fold(history) is the state, on disk, in a warm engine and in a cold one',
  throws: 'no transition throws anything but a refusal',
  ready: 'no call that could go is forgotten',
  timer: 'timers fire, and never early',
  pending: 'only live runs have something pending',
  ends: 'every run that can end ends, as its program says',
  lists: 'every list finds what it should, over every index',
  ledger: 'a run is one of pending, delivered, dead-lettered and cancelled, never two',
  admission: 'an event of a batch or debounce is in one run, and a key has one run at most',
  guard: 'a guard ends its run in its time, and no other',
  retention: 'what is too old goes, with all that belongs to it',
} as const;

export type Invariant = keyof typeof INVARIANTS;

export class Violation extends Error {
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

/** Counts what was checked, so that a check that never ran shows. */
export class Checks {
  readonly counts: Record<Invariant, number> = Object.fromEntries(
    Object.keys(INVARIANTS).map((name) => [name, 0]),
  ) as Record<Invariant, number>;

  that(invariant: Invariant, holds: boolean, message: () => string): void {
    this.counts[invariant]++;
    if (!holds) throw new Violation(invariant, message());
  }

  add(other: Checks): void {
    for (const name of Object.keys(this.counts) as Invariant[]) this.counts[name] += other.counts[name];
  }
}
