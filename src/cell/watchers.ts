/** Reads that are held open until a run's history grows. */
export class Watchers {
  #byRun = new Map<string, Set<(seq: number | null) => void>>();

  /** Resolves with the sequence that passed `afterSeq`, or null after waitMs. */
  wait(run: string, afterSeq: number, waitMs: number): Promise<number | null> {
    return new Promise((resolve) => {
      let set = this.#byRun.get(run);
      if (!set) this.#byRun.set(run, (set = new Set()));
      const listeners = set;
      const done = (seq: number | null): void => {
        clearTimeout(timer);
        listeners.delete(listener);
        if (listeners.size === 0 && this.#byRun.get(run) === listeners) this.#byRun.delete(run);
        resolve(seq);
      };
      const listener = (seq: number | null): void => {
        if (seq === null || seq > afterSeq) done(seq);
      };
      const timer = setTimeout(() => done(null), waitMs);
      listeners.add(listener);
    });
  }

  changed(run: string, seq: number): void {
    for (const listener of [...(this.#byRun.get(run) ?? [])]) listener(seq);
  }

  /** Answers everyone that nothing has changed. */
  release(): void {
    for (const listeners of [...this.#byRun.values()]) for (const listener of [...listeners]) listener(null);
  }
}
