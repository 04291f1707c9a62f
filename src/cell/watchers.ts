/** Positions of labels begin with the time of the start, so that they grow over restarts too. */
const PER_MS = 1_000;
/** Labels that are watched, or were lately; another one is answered at once. */
const MAX_LABELS = 10_000;
/** After the release: whoever asks again and again shall not do so without a pause. */
const RELEASED_HOLD_MS = 100;

type Listener = (seq: number | null) => void;

/** Reads that are held open until a run's history grows, or that of any run with a label. */
export class Watchers {
  readonly #listeners = new Map<string, Set<Listener>>();
  /** Newest change of each label that somebody asked for. */
  readonly #labels = new Map<string, number>();
  #position: number;
  #isReleased = false;

  constructor(nowMs: number) {
    this.#position = nowMs * PER_MS;
  }

  /** Resolves with the sequence that passed `afterSeq`, or null after waitMs. */
  wait(run: string, afterSeq: number, waitMs: number): Promise<number | null> {
    return this.#wait(`run:${run}`, afterSeq, waitMs);
  }

  /** Resolves with the position of the label's newest change, once it is beyond `after`, or after waitMs. */
  async waitLabel(label: string, after: number, waitMs: number): Promise<number> {
    const known = this.#labels.get(label) ?? this.#position;
    this.#labels.delete(label);
    this.#labels.set(label, known);
    if (this.#labels.size > MAX_LABELS) this.#labels.delete(this.#labels.keys().next().value as string);
    if (known > after) return known;
    return (await this.#wait(`label:${label}`, after, waitMs)) ?? known;
  }

  #wait(key: string, after: number, waitMs: number): Promise<number | null> {
    return new Promise((resolve) => {
      const listeners = this.#listeners.get(key) ?? new Set<Listener>();
      this.#listeners.set(key, listeners);
      const done: Listener = (seq) => {
        clearTimeout(timer);
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
        resolve(seq);
      };
      const listener: Listener = (seq) => {
        if (seq === null || seq > after) done(seq);
      };
      const timer = setTimeout(() => done(null), this.#isReleased ? Math.min(waitMs, RELEASED_HOLD_MS) : waitMs);
      listeners.add(listener);
    });
  }

  changed(run: string, seq: number, labels: readonly string[]): void {
    if (this.#listeners.size > 0) this.#tell(`run:${run}`, seq);
    if (labels.length === 0 || this.#labels.size === 0) return;
    for (const label of labels) {
      if (!this.#labels.has(label)) continue;
      this.#labels.set(label, ++this.#position);
      this.#tell(`label:${label}`, this.#position);
    }
  }

  #tell(key: string, seq: number): void {
    for (const listener of [...(this.#listeners.get(key) ?? [])]) listener(seq);
  }

  /** Answers everyone that nothing has changed, and from now on soon. */
  release(): void {
    this.#isReleased = true;
    for (const listeners of [...this.#listeners.values()]) for (const listener of [...listeners]) listener(null);
  }
}
