/** Requests that are held open until something under their key has happened. */
export class Held {
  readonly #waiting = new Map<string, Set<(isReleased: boolean) => void>>();

  /** Resolves when `isReady` holds, at once or after a `wake` of the key, or after waitMs, or when everyone is released. */
  async until(key: string, isReady: () => boolean, waitMs: number): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!isReady()) {
      const restMs = deadline - Date.now();
      if (restMs <= 0) return;
      if (await this.#next(key, restMs)) return;
    }
  }

  wake(key: string): void {
    for (const listener of [...(this.#waiting.get(key) ?? [])]) listener(false);
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Answers everyone with what there is. */
  release(): void {
    for (const listeners of [...this.#waiting.values()]) for (const listener of [...listeners]) listener(true);
  }

  wakeAll(): void {
    for (const key of [...this.#waiting.keys()]) this.wake(key);
  }

  #next(key: string, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const set = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, set);
      const done = (isReleased: boolean): void => {
        clearTimeout(timer);
        set.delete(done);
        if (set.size === 0 && this.#waiting.get(key) === set) this.#waiting.delete(key);
        resolve(isReleased);
      };
      const timer = setTimeout(() => done(false), waitMs);
      set.add(done);
    });
  }
}
