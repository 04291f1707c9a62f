import type { Command, CommandResult } from '../../core/model/command.ts';
import type { EventRecord } from '../../core/model/event.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { CellApi, WatchRequest } from '../../core/ports.ts';

/**
 * The reads of one request that shows many runs: what several of them ask for, their function and its app, is read once, and the events that are
 * asked for at one time are read together. Each read is a message to the cell, which costs many times what the reading does.
 */
export class SharedReads implements CellApi {
  #cell: CellApi;
  #known = new Map<string, Promise<unknown>>();
  #wanted = new Map<string, Wanted>();

  constructor(cell: CellApi) {
    this.#cell = cell;
  }

  async query<Q extends Query>(query: Q): Promise<QueryResult<Q>> {
    switch (query.type) {
      case 'event':
        return this.#once(`event ${query.id}`, () => this.#eventOf(query.id)) as Promise<QueryResult<Q>>;
      case 'task':
      case 'record':
        return this.#once(JSON.stringify(query), () => this.#cell.query(query));
      default:
        return this.#cell.query(query);
    }
  }

  /** What was read may have changed by it. */
  apply(commands: Command[]): Promise<CommandResult[]> {
    this.#known.clear();
    return this.#cell.apply(commands);
  }

  lease(request: Parameters<CellApi['lease']>[0]): ReturnType<CellApi['lease']> {
    return this.#cell.lease(request);
  }

  watch(request: WatchRequest): Promise<number | null> {
    return this.#cell.watch(request);
  }

  #once<T>(key: string, read: () => Promise<T>): Promise<T> {
    const known = this.#known.get(key) as Promise<T> | undefined;
    if (known) return known;
    const promise = read();
    this.#known.set(key, promise);
    return promise;
  }

  #eventOf(id: string): Promise<EventRecord | null> {
    const promise = new Promise<EventRecord | null>((resolve, reject) => this.#wanted.set(id, { resolve, reject }));
    // All that goes on by now asks first.
    if (this.#wanted.size === 1) void Promise.resolve().then(() => queueMicrotask(() => void this.#readWanted()));
    return promise;
  }

  async #readWanted(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = new Map();
    try {
      for (let ids = [...wanted.keys()]; ids.length > 0;) {
        const { items, left } = await this.#cell.query({ type: 'events-of', ids });
        const found = new Map(items.map((event) => [event.id, event]));
        const later = new Set(left);
        for (const id of ids) if (!later.has(id)) wanted.get(id)?.resolve(found.get(id) ?? null);
        ids = left;
      }
    } catch (error) {
      for (const { reject } of wanted.values()) reject(error);
    }
  }
}

interface Wanted {
  resolve(event: EventRecord | null): void;
  reject(error: unknown): void;
}
