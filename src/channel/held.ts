/** Requests that are held open until something under their key has happened. */
export class Held {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Resolves when `isReady` holds, at once or after a `wake` of the key, or after waitMs. */
  async until(key: string, isReady: () => boolean, waitMs: number): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!isReady()) {
      const restMs = deadline - Date.now();
      if (restMs <= 0) return;
      await this.#next(key, restMs);
    }
  }

  wake(key: string): void {
    for (const listener of [...(this.#waiting.get(key) ?? [])]) listener();
  }

  wakeAll(): void {
    for (const key of [...this.#waiting.keys()]) this.wake(key);
  }

  #next(key: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const set = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, set);
      const done = (): void => {
        clearTimeout(timer);
        set.delete(done);
        if (set.size === 0 && this.#waiting.get(key) === set) this.#waiting.delete(key);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      set.add(done);
    });
  }
}
