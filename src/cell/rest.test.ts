import { expect, it } from 'vitest';
import { Rest } from './rest.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('collects once when a busy time is over, and not for a few commits', async () => {
  let collected = 0;
  const pauses: Array<() => void> = [];
  const rest = new Rest(
    () => void collected++,
    () => new Promise((resolve) => pauses.push(resolve)),
  );
  const commit = (times: number): void => {
    for (let i = 0; i < times; i++) rest.committed();
  };
  const pass = async (): Promise<void> => {
    pauses.shift()?.();
    await settled();
  };
  commit(99);
  expect(pauses).toHaveLength(0);
  commit(1_000);
  expect(pauses).toHaveLength(1);
  commit(1);
  await pass();
  expect(collected).toBe(0);
  await pass();
  expect(collected).toBe(1);
  expect(pauses).toHaveLength(0);
  commit(10);
  expect(pauses).toHaveLength(0);
  commit(90);
  await pass();
  expect(collected).toBe(2);
});
