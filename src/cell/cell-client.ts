import type { LeasedCall } from '../../core/model/call.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { CellApi, WatchRequest } from '../../core/ports.ts';
import type { IngestMessage } from '../bindings.ts';
import { isTooLarge, pack, type Packed, unpack } from '../large/packed.ts';
import { acceptedWithoutAnswer, isUnreachable } from './accept-later.ts';
import type { Cell } from './cell.ts';
import type { LeaseRequest } from './held-leases.ts';
import { noteStorageError } from './storage-trouble.ts';

/**
 * The engine of an environment as the routes reach it: its cell, and the ingest queue when the cell cannot be reached. What its errors say of the storage is
 * noted here: what fails on the way to the disk fails after the engine has done its part.
 */
export class CellClient implements CellApi {
  #cell: DurableObjectStub<Cell>;
  #name: string;
  #queue: Queue<IngestMessage>;
  /** Done before the cell is used: an environment other than the default one is noted. */
  #before: (() => Promise<void>) | undefined;

  constructor(cell: DurableObjectStub<Cell>, name: string, queue: Queue<IngestMessage>, before?: () => Promise<void>) {
    this.#before = before;
    this.#cell = cell;
    this.#name = name;
    this.#queue = queue;
  }

  async apply(commands: Command[]): Promise<CommandResult[]> {
    if (this.#before) await this.#before();
    try {
      return await this.#cell.apply(commands);
    } catch (error) {
      noteStorageError(error);
      if (isTooLarge(error)) return this.#cell.applyPacked(pack(commands)).catch(noteAndThrow);
      const accepted = isUnreachable(error) ? acceptedWithoutAnswer(commands) : null;
      if (!accepted) throw error;
      console.error(`cell ${this.#name} could not be reached, its commands go by queue:`, error);
      await this.#queue.send({ cell: this.#name, commands });
      return accepted;
    }
  }

  async query<Q extends Query>(query: Q): Promise<QueryResult<Q>> {
    if (this.#before) await this.#before();
    try {
      return (await this.#cell.query(query)) as QueryResult<Q>;
    } catch (error) {
      noteStorageError(error);
      if (!isTooLarge(error)) throw error;
      return unpack<QueryResult<Q>>(await this.#cell.queryPacked(query).catch(noteAndThrow));
    }
  }

  async lease(request: LeaseRequest): Promise<LeasedCall[]> {
    if (this.#before) await this.#before();
    const answer = (await this.#cell.lease(request).catch(noteAndThrow)) as LeasedCall[] | Packed;
    return answer instanceof ReadableStream ? unpack<LeasedCall[]>(answer) : answer;
  }

  watch(request: WatchRequest): Promise<number | null> {
    return this.#cell.watch(request).catch(noteAndThrow);
  }
}

function noteAndThrow(error: unknown): never {
  noteStorageError(error);
  throw error;
}
