import { labelTopic, runTopic, type RunChange } from '../../core/model/channel.ts';
import type { Bindings } from '../bindings.ts';

type Told = { topic: string; change: RunChange };

/** The channels that follow runs and labels of a cell. In memory: a channel with listeners says again that it follows (see Channel). */
export class Followers {
  readonly #channels: Bindings['CHANNEL'];
  /** Channels by topic, with the count at which each followed last. */
  readonly #byTopic = new Map<string, Map<string, number>>();
  #count = 0;
  /** What a channel has to be told next, by topic and run: while it is being told, the newest of each run collects. */
  readonly #next = new Map<string, Map<string, Told>>();
  readonly #busy = new Set<string>();

  constructor(channels: Bindings['CHANNEL']) {
    this.#channels = channels;
  }

  add(topic: string, channel: string): void {
    const channels = this.#byTopic.get(topic) ?? new Map<string, number>();
    this.#byTopic.set(topic, channels.set(channel, ++this.#count));
  }

  changed(runs: ReadonlyArray<RunChange & { labels: readonly string[] }>): void {
    if (this.#byTopic.size === 0) return;
    for (const { run, seq, status, labels } of runs) {
      const change = { run, seq, status };
      this.#tell(runTopic(run), change);
      for (const label of labels) this.#tell(labelTopic(label), change);
    }
  }

  #tell(topic: string, change: RunChange): void {
    for (const channel of this.#byTopic.get(topic)?.keys() ?? []) {
      const next = this.#next.get(channel) ?? new Map<string, Told>();
      this.#next.set(channel, next);
      next.set(`${topic}\n${change.run}`, { topic, change });
      if (!this.#busy.has(channel)) void this.#send(channel);
    }
  }

  async #send(channel: string): Promise<void> {
    this.#busy.add(channel);
    // Everything of this commit travels together.
    await Promise.resolve();
    for (let next = this.#next.get(channel); next; next = this.#next.get(channel)) {
      this.#next.delete(channel);
      const told = [...next.values()];
      const before = this.#count;
      const wanted = await this.#channels
        .get(this.#channels.idFromString(channel))
        .told(told)
        .catch(() => told.map(() => false));
      for (const [i, { topic }] of told.entries()) if (!wanted[i]) this.#remove(topic, channel, before);
    }
    this.#busy.delete(channel);
  }

  /** Unless it followed again while it was told. */
  #remove(topic: string, channel: string, before: number): void {
    const channels = this.#byTopic.get(topic);
    if (!channels || (channels.get(channel) ?? 0) > before) return;
    channels.delete(channel);
    if (channels.size === 0) this.#byTopic.delete(topic);
  }
}
