import type { LabelPosition } from '../model/channel.ts';

/** Runs that are remembered for one label; readers that are further behind read the list again. */
const MAX_RUNS = 5_000;

/** What changed among a label's runs, in order: each run stands once, at its newest change. Lives in memory; a new one is a new epoch. */
export class LabelLog {
  readonly #epoch: string;
  #n = 0;
  /** Changes up to here are not all known any more. */
  #forgotten = 0;
  readonly #runs = new Map<string, { n: number; seq: number }>();

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  get position(): LabelPosition {
    return { epoch: this.#epoch, n: this.#n };
  }

  /** Answers false for what was known. */
  add(run: string, seq: number): boolean {
    const known = this.#runs.get(run);
    if (known && known.seq >= seq) return false;
    this.#runs.delete(run);
    this.#runs.set(run, { n: ++this.#n, seq });
    if (this.#runs.size > MAX_RUNS) {
      const [oldest, { n }] = this.#runs.entries().next().value as [string, { n: number }];
      this.#runs.delete(oldest);
      this.#forgotten = n;
    }
    return true;
  }

  /** The runs that changed after a position, or null when it is not known. */
  after(position: LabelPosition | null): Array<{ run: string; seq: number }> | null {
    if (position === null || position.epoch !== this.#epoch || position.n < this.#forgotten || position.n > this.#n)
      return null;
    const changed: Array<{ run: string; seq: number }> = [];
    for (const [run, { n, seq }] of this.#runs) if (n > position.n) changed.push({ run, seq });
    return changed;
  }
}
