import type { Sql, SqlRow, SqlValue } from '../../core/ports.ts';

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
    const cursor = this.#sql.exec(query, ...params);
    const rows = cursor.toArray() as unknown as Row[];
    this.#written += cursor.rowsWritten;
    return rows;
  }

  run(query: string, ...params: SqlValue[]): void {
    this.#written += this.#sql.exec(query, ...params).rowsWritten;
  }

  transaction<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  rowsWritten(): number {
    return this.#written;
  }
}
