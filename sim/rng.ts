import { seeded } from '../core/testing/harness.ts';

/** Every choice of the simulation comes from one of these: the same seed makes the same choices. */
export class Rng {
  readonly #source: { next(): number };

  constructor(seed: number) {
    this.#source = seeded(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.#source.next();
  }

  /** Integer in [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T;
  }

  /** Picks a name by its weight. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries<number>(weights) as Array<[K, number]>;
    let at = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      at -= weight;
      if (at < 0) return name;
    }
    return (entries.at(-1) as [K, number])[0];
  }

  /** Short times mostly, long ones now and then. */
  delayMs(typicalMs: number): number {
    const spread = this.next();
    return Math.floor(typicalMs * (spread < 0.9 ? spread : 1 + (spread - 0.9) * 100));
  }

  fork(): Rng {
    return new Rng(Math.floor(this.next() * 0x7fffffff));
  }
}
