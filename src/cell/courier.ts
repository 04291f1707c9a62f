import type { Engine } from '../../core/index.ts';
import type { Bindings } from '../bindings.ts';

const RETRY_MS = 1_000;

/** Carries the outbox to other cells: one batch at a time to each, again until it is taken. */
export class Courier {
  #cells: Bindings['CELL'];
  #engine: () => Engine;
  #busy = new Set<string>();

  constructor(cells: Bindings['CELL'], engine: () => Engine) {
    this.#cells = cells;
    this.#engine = engine;
  }

  carry(destinations: string[]): void {
    for (const destination of destinations) {
      if (this.#busy.has(destination)) continue;
      this.#busy.add(destination);
      void this.#carryTo(destination).finally(() => this.#busy.delete(destination));
    }
  }

  async #carryTo(destination: string): Promise<void> {
    // Not in the transition that wrote the messages: after it.
    await Promise.resolve();
    for (let batch = this.#engine().outgoing(destination); batch; batch = this.#engine().outgoing(destination)) {
      try {
        const seq = await this.#cells.get(this.#cells.idFromName(destination)).receive(batch);
        this.#engine().acknowledged(destination, seq);
      } catch (error) {
        console.error(`messages for ${destination} wait:`, error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
