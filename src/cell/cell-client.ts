import type { LeasedCall } from '../../core/model/call.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';
import { errorCodeOf } from '../../core/model/errors.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import type { IngestMessage } from '../bindings.ts';
import type { Cell } from './cell.ts';
import type { LeaseRequest } from './held-leases.ts';

/** The engine of an environment as the routes reach it: its cell, and the ingest queue when the cell cannot be reached. */
export class CellClient implements CellApi {
  #cell: DurableObjectStub<Cell>;
  #name: string;
  #queue: Queue<IngestMessage>;

  constructor(cell: DurableObjectStub<Cell>, name: string, queue: Queue<IngestMessage>) {
    this.#cell = cell;
    this.#name = name;
    this.#queue = queue;
  }

  async apply(commands: Command[]): Promise<CommandResult[]> {
    try {
      return await this.#cell.apply(commands);
    } catch (error) {
      const accepted = isUnreachable(error) ? acceptedWithoutAnswer(commands) : null;
      if (!accepted) throw error;
      console.error(`cell ${this.#name} could not be reached, its commands go by queue:`, error);
      await this.#queue.send({ cell: this.#name, commands });
      return accepted;
    }
  }

  query<Q extends Query>(query: Q): Promise<QueryResult<Q>> {
    return this.#cell.query(query) as Promise<QueryResult<Q>>;
  }

  lease(request: LeaseRequest): Promise<LeasedCall[]> {
    return this.#cell.lease(request);
  }

  watch(request: { run: string; afterSeq: number; waitMs: number }): Promise<number | null> {
    return this.#cell.watch(request);
  }
}

/** What the platform throws for an object that is overloaded, was reset or cannot be reached. A refusal of the engine's own has a code. */
export function isUnreachable(error: unknown): boolean {
  if (errorCodeOf(error) !== null || typeof error !== 'object' || error === null) return false;
  return ('overloaded' in error && error.overloaded === true) || ('retryable' in error && error.retryable === true);
}

/**
 * The answer to commands that may be applied later: only those whose result is known in advance, because they name their own ids, and that
 * change nothing when they are applied twice. Null for all others.
 */
export function acceptedWithoutAnswer(commands: Command[]): CommandResult[] | null {
  const results: CommandResult[] = [];
  for (const command of commands) {
    if (command.type === 'ingest' && command.events.every((event) => event.id !== undefined))
      results.push({ type: 'ingest', ids: command.events.map((event) => event.id as string), runs: [] });
    else if (
      command.type === 'start' &&
      command.spec.id !== undefined &&
      command.spec.dedupe === undefined &&
      command.spec.alias === undefined
    )
      results.push({ type: 'start', run: command.spec.id, deduplicated: false, createdAt: Date.now() });
    else return null;
  }
  return results;
}
