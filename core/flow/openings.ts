/**
 * When limits that time alone opens are to be looked at again: a heap by time, one entry that counts for each name. In memory only: after a
 * restart every backlog is looked at once and says anew when it opens.
 */
export class Openings {
  #heap: Array<{ name: string; atMs: number }> = [];
  #at = new Map<string, number>();

  get size(): number {
    return this.#at.size;
  }

  has(name: string): boolean {
    return this.#at.has(name);
  }

  /** An earlier time takes the place of a later one. */
  set(name: string, atMs: number): void {
    const before = this.#at.get(name);
    if (before !== undefined && before <= atMs) return;
    this.#at.set(name, atMs);
    this.#heap.push({ name, atMs });
    this.#up(this.#heap.length - 1);
  }

  /** The earliest time, or Infinity. */
  nextAt(): number {
    this.#dropStale();
    return this.#heap[0]?.atMs ?? Infinity;
  }

  /** Takes the names that are to be looked at by now. */
  take(nowMs: number): string[] {
    const names: string[] = [];
    for (;;) {
      this.#dropStale();
      const first = this.#heap[0];
      if (!first || first.atMs > nowMs) return names;
      this.#pop();
      this.#at.delete(first.name);
      names.push(first.name);
    }
  }

  #dropStale(): void {
    for (let first = this.#heap[0]; first && this.#at.get(first.name) !== first.atMs; first = this.#heap[0])
      this.#pop();
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(index: number): void {
    for (let i = index; i > 0;) {
      const parent = (i - 1) >> 1;
      if (this.#atOf(parent) <= this.#atOf(i)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(index: number): void {
    for (let i = index; ;) {
      const left = 2 * i + 1;
      if (left >= this.#heap.length) return;
      const child = left + 1 < this.#heap.length && this.#atOf(left + 1) < this.#atOf(left) ? left + 1 : left;
      if (this.#atOf(i) <= this.#atOf(child)) return;
      this.#swap(i, child);
      i = child;
    }
  }

  #atOf(index: number): number {
    return this.#heap[index]?.atMs ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}
