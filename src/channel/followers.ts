import type { Bindings } from '../bindings.ts';
import type { RunChange } from './frames.ts';

/** The channels that follow runs of a cell. In memory: a channel with subscribers says again that it follows (see Channel). */
export class Followers {
  #channels: Bindings['CHANNEL'];
  #byRun = new Map<string, Set<string>>();

  constructor(channels: Bindings['CHANNEL']) {
    this.#channels = channels;
  }

  add(run: string, channel: string): void {
    const set = this.#byRun.get(run);
    if (set) set.add(channel);
    else this.#byRun.set(run, new Set([channel]));
  }

  has(run: string): boolean {
    return this.#byRun.has(run);
  }

  /** A channel that has nobody left is told no more. */
  tell(change: RunChange): void {
    for (const id of this.#byRun.get(change.run) ?? []) {
      this.#channels
        .get(this.#channels.idFromString(id))
        .publish(change)
        .then(
          (listeners) => {
            if (listeners === 0) this.#remove(change.run, id);
          },
          () => this.#remove(change.run, id),
        );
    }
    if (change.status !== 'running') this.#byRun.delete(change.run);
  }

  #remove(run: string, channel: string): void {
    const set = this.#byRun.get(run);
    set?.delete(channel);
    if (set?.size === 0) this.#byRun.delete(run);
  }
}
