import type { RunFacts, RunRecord } from '../../../core/model/query.ts';
import type { CellApi } from '../../../core/ports.ts';
import type { KnownFunction } from '../apps.ts';
import { functionsOf } from '../apps.ts';

/** What one request of GraphQL asks for: reads are shared within it, and counted. */
export class Reader {
  readonly cell: CellApi;
  #functions: Promise<KnownFunction[]> | null = null;
  readonly #whole = new Map<string, Promise<RunRecord | null>>();
  #left = 20_000;

  constructor(cell: CellApi) {
    this.cell = cell;
  }

  /** A query over related lists may not grow without bound. */
  spend(n: number): void {
    this.#left -= n;
    if (this.#left < 0) throw new Error('the query asks for too much: ask for less of it at once');
  }

  functions(): Promise<KnownFunction[]> {
    this.#functions ??= functionsOf(this.cell);
    return this.#functions;
  }

  /** A run with its payloads: read where a list left them out, and once. Null: it is not kept any more. */
  whole(run: RunFacts | RunRecord): Promise<RunRecord | null> {
    if ('output' in run) return Promise.resolve(run);
    const found = this.#whole.get(run.id) ?? this.cell.query({ type: 'run', run: run.id });
    this.#whole.set(run.id, found);
    return found;
  }

  async functionOf(run: RunFacts): Promise<KnownFunction | null> {
    return (await this.functions()).find(({ task }) => task.id === run.task) ?? null;
  }
}

export function time(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
