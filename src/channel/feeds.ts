import { LabelLog } from '../../core/channel/label-log.ts';
import { feedOf, type RunChange } from '../../core/model/channel.ts';

/** What a cell answers to a channel that follows. `instance`: another one than before has told nobody of what happened in between. */
export interface Followed {
  instance: string;
  /** Per topic: the run's newest state; null for a label, and for a run that is not known. */
  changes: Array<RunChange | null>;
}

/** For this long after the last listener has gone the cell goes on telling: a reader asks again, from where it was. */
const LINGER_MS = 30_000;
/** What the cell said is taken as its newest for this long without asking; it tells of every change anyway. */
const FRESH_MS = 10_000;

interface Feed {
  instance: string;
  askedAt: number;
  wantedAt: number;
  /** Of a run: the newest that is known. */
  change: RunChange | null;
  /** Of a label. */
  log: LabelLog | null;
}

const NOBODY: Feed = { instance: '', askedAt: 0, wantedAt: 0, change: null, log: null };

/** The topics that the cell feeds: the channel follows each once, whoever listens. In memory; a channel that wakes follows anew. */
export class Feeds {
  readonly #follow: (topics: string[]) => Promise<Followed>;
  readonly #hasSockets: (topic: string) => boolean;
  readonly #onChange: (topic: string, change: RunChange) => void;
  readonly #feeds = new Map<string, Feed>();

  constructor(ports: {
    follow(topics: string[]): Promise<Followed>;
    /** Sockets want a topic as long as they are open. */
    hasSockets(topic: string): boolean;
    /** Once for each change that was not known. */
    onChange(topic: string, change: RunChange): void;
  }) {
    this.#follow = ports.follow;
    this.#hasSockets = ports.hasSockets;
    this.#onChange = ports.onChange;
  }

  /** The newest that is known of a run; null for an unknown run. */
  async run(topic: string): Promise<RunChange | null> {
    return (await this.#fed(topic)).change;
  }

  async label(topic: string): Promise<LabelLog> {
    return (await this.#fed(topic)).log as LabelLog;
  }

  peekRun(topic: string): RunChange | null {
    return this.#feeds.get(topic)?.change ?? null;
  }

  peekLabel(topic: string): LabelLog | null {
    return this.#feeds.get(topic)?.log ?? null;
  }

  /** From the cell. Answers for each whether it is still wanted. */
  told(changes: Array<{ topic: string; change: RunChange }>): boolean[] {
    const now = Date.now();
    return changes.map(({ topic, change }) => {
      const feed = this.#feeds.get(topic);
      if (!feed) {
        // The channel has slept since it followed: sockets hear of it, readers start anew.
        const wanted = this.#hasSockets(topic);
        if (wanted) this.#onChange(topic, change);
        return wanted;
      }
      this.#observe(topic, feed, change);
      if (this.#isWanted(topic, feed, now)) return true;
      this.#feeds.delete(topic);
      return false;
    });
  }

  /** A reader has gone just now. */
  leave(topic: string): void {
    const feed = this.#feeds.get(topic);
    if (feed) feed.wantedAt = Date.now();
  }

  /** Says again that it listens. Answers whether there is anything that is still wanted. */
  async renew(socketTopics: Iterable<string>): Promise<boolean> {
    const now = Date.now();
    const topics = new Set<string>();
    for (const topic of socketTopics) if (feedOf(topic)) topics.add(topic);
    for (const [topic, feed] of this.#feeds) {
      if (this.#isWanted(topic, feed, now)) topics.add(topic);
      else this.#feeds.delete(topic);
    }
    if (topics.size > 0) await this.#ask([...topics]);
    return topics.size > 0;
  }

  async follow(topics: string[]): Promise<void> {
    const fresh = Date.now() - FRESH_MS;
    const asked = topics.filter((topic) => feedOf(topic) && (this.#feeds.get(topic)?.askedAt ?? 0) < fresh);
    if (asked.length > 0) await this.#ask(asked);
  }

  async #fed(topic: string): Promise<Feed> {
    const known = this.#feeds.get(topic);
    if (known && known.askedAt >= Date.now() - FRESH_MS) {
      known.wantedAt = Date.now();
      return known;
    }
    await this.#ask([topic]);
    return this.#feeds.get(topic) ?? NOBODY;
  }

  async #ask(topics: string[]): Promise<void> {
    const { instance, changes } = await this.#follow(topics);
    const now = Date.now();
    for (const [i, topic] of topics.entries()) {
      const change = changes[i] ?? null;
      const known = this.#feeds.get(topic);
      // The cell does not tell of a run that it does not know: it may start later.
      if (change === null && topic.startsWith('run:')) {
        this.#feeds.delete(topic);
        continue;
      }
      const feed = known ?? { instance, askedAt: now, wantedAt: now, change, log: null };
      if (feedOf(topic) && !topic.startsWith('run:') && (feed.log === null || feed.instance !== instance))
        feed.log = new LabelLog(crypto.randomUUID());
      feed.instance = instance;
      feed.askedAt = now;
      feed.wantedAt = now;
      this.#feeds.set(topic, feed);
      if (change && known) this.#observe(topic, feed, change);
    }
  }

  #observe(topic: string, feed: Feed, change: RunChange): void {
    if (feed.log) {
      if (feed.log.add(change.run, change.seq)) this.#onChange(topic, change);
      return;
    }
    if (feed.change && change.seq <= feed.change.seq) return;
    feed.change = change;
    this.#onChange(topic, change);
  }

  #isWanted(topic: string, feed: Feed, now: number): boolean {
    return this.#hasSockets(topic) || now - feed.wantedAt < LINGER_MS;
  }
}
