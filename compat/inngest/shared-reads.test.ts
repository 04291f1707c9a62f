import { describe, expect, test } from 'vitest';
import type { Query } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { SharedReads } from './shared-reads.ts';

/** A cell that keeps events of the ids `e<n>`, two of them a message, and counts what it is asked. */
function cellOf(asked: Query[]): CellApi {
  return {
    query: (query: Query) => {
      asked.push(query);
      if (query.type !== 'events-of') return Promise.resolve(query);
      const items = query.ids.slice(0, 2).flatMap((id) => (id.startsWith('e') ? [{ id }] : []));
      return Promise.resolve({ items, left: query.ids.slice(2) });
    },
    apply: () => Promise.resolve([]),
  } as unknown as CellApi;
}

describe('reads of one request', () => {
  test('events that are asked for at one time are read together, each once, however many messages they fill', async () => {
    const asked: Query[] = [];
    const reads = new SharedReads(cellOf(asked));
    const ids = ['e1', 'e2', 'none', 'e1', 'e3'];
    const found = await Promise.all(
      ids.map(async (id) => {
        await reads.query({ type: 'task', id: 't' });
        return reads.query({ type: 'event', id });
      }),
    );
    expect(found.map((event) => event?.id)).toEqual(['e1', 'e2', undefined, 'e1', 'e3']);
    expect(asked.map(({ type }) => type)).toEqual(['task', 'events-of', 'events-of']);
    await reads.query({ type: 'event', id: 'e3' });
    expect(asked).toHaveLength(3);
  });

  test('what was known is read anew after a change', async () => {
    const asked: Query[] = [];
    const reads = new SharedReads(cellOf(asked));
    for (let i = 0; i < 2; i++) await reads.query({ type: 'record', collection: 'c', id: 'r' });
    await reads.apply([]);
    await reads.query({ type: 'record', collection: 'c', id: 'r' });
    expect(asked).toHaveLength(2);
  });

  test('a cell that fails fails each of them', async () => {
    const cell = { query: () => Promise.reject(new Error('gone')) } as unknown as CellApi;
    const reads = new SharedReads(cell);
    const both = await Promise.allSettled(['a', 'b'].map((id) => reads.query({ type: 'event', id })));
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
