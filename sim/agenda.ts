interface Entry {
  at: number;
  order: number;
  action: () => void;
}

/** What is going to happen, by time; equal times in the order in which they were added. */
export class Agenda {
  #heap: Entry[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  nextAt(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  add(at: number, action: () => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#order++, action });
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(heap[i] as Entry, heap[parent] as Entry)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  take(): () => void {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0; ;) {
        const left = 2 * i + 1;
        let least = i;
        for (const child of [left, left + 1])
          if (child < heap.length && before(heap[child] as Entry, heap[least] as Entry)) least = child;
        if (least === i) break;
        this.#swap(i, least);
        i = least;
      }
    }
    return first.action;
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a] as Entry;
    this.#heap[a] = this.#heap[b] as Entry;
    this.#heap[b] = kept;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
