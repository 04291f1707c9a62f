import type { RunView } from '../../core/ports.ts';

const MAX_VIEWS = 1_000;

/** Readings of runs, made once for each change of a run however many ask for it. */
export class Views {
  readonly #make: (name: string, run: string) => ReturnType<RunView>;
  readonly #made = new Map<string, { seq: number; text: ReturnType<RunView> }>();

  constructor(make: (name: string, run: string) => ReturnType<RunView>) {
    this.#make = make;
  }

  /** As of `seq` at least: what is newer will be told of, and is shown then again. */
  at(name: string, run: string, seq: number): ReturnType<RunView> {
    const key = `${name}\n${run}`;
    const known = this.#made.get(key);
    if (known && known.seq >= seq) return known.text;
    const text = this.#make(name, run);
    this.#made.delete(key);
    this.#made.set(key, { seq, text });
    if (this.#made.size > MAX_VIEWS) this.#made.delete(this.#made.keys().next().value as string);
    // A failure is not kept.
    text.catch(() => this.#made.delete(key));
    return text;
  }
}
