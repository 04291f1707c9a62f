import type { Sql, SqlRow, SqlValue } from '../../core/ports.ts';
import { noteStorageError } from './storage-trouble.ts';

/** The Sql port over a Durable Object's own SQLite. */
export class DurableSql implements Sql {
  #storage: DurableObjectStorage;
  #sql: SqlStorage;
  #written = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  all<Row extends SqlRow = SqlRow>(query: string, ...params: SqlValue[]): Row[] {
    try {
      const cursor = this.#sql.exec(query, ...params);
      const rows = cursor.toArray() as unknown as Row[];
      this.#written += cursor.rowsWritten;
      return rows;
    } catch (error) {
      noteStorageError(error);
      throw error;
    }
  }

  run(query: string, ...params: SqlValue[]): void {
    try {
      this.#written += this.#sql.exec(query, ...params).rowsWritten;
    } catch (error) {
      noteStorageError(error);
      throw error;
    }
  }

  transaction<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  rowsWritten(): number {
    return this.#written;
  }
}
