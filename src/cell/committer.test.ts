import { expect, it } from 'vitest';
import type { Command } from '../../core/model/command.ts';
import { Committer } from './committer.ts';

const command: Command = { type: 'cancel', run: 'r' };

/** A committer whose disk and pauses end when the test says so. */
function committer() {
  const groups: number[] = [];
  const events: string[] = [];
  const open: Array<() => void> = [];
  const gate = (name: string) => (): Promise<void> => {
    events.push(name);
    return new Promise((resolve) => open.push(resolve));
  };
  const made = new Committer(
    (requests) => {
      groups.push(requests.length);
      return requests.map(() => ({ ok: true, results: [] }));
    },
    gate('sync'),
    gate('pause'),
  );
  const next = async (): Promise<void> => {
    open.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { made, groups, events, next };
}

it('commits one caller at once and never pauses for it', async () => {
  const { made, groups, events, next } = committer();
  for (let i = 0; i < 4; i++) {
    void made.submit([command]);
    await next();
  }
  expect(groups).toEqual([1, 1, 1, 1]);
  expect(events).toEqual(['sync', 'sync', 'sync', 'sync']);
});

it('commits together what arrives during a commit', async () => {
  const { made, groups, next } = committer();
  void made.submit([command]);
  for (let i = 0; i < 2; i++) void made.submit([command]);
  await next();
  expect(groups).toEqual([1, 2]);
});

it('gathers before a commit while there is a crowd, and stops when it has gone', async () => {
  const { made, groups, events, next } = committer();
  void made.submit([command]);
  for (let i = 0; i < 4; i++) void made.submit([command]);
  await next();
  await next();
  expect(groups).toEqual([1, 4]);
  void made.submit([command]);
  expect(events.at(-1)).toBe('pause');
  void made.submit([command]);
  await next();
  expect(groups).toEqual([1, 4, 2]);
  await next();
  for (let i = 0; i < 3; i++) {
    void made.submit([command]);
    await next();
    await next();
  }
  void made.submit([command]);
  expect(events.at(-1)).toBe('sync');
});

it('keeps what nobody waits for until somebody does, or for a moment', async () => {
  const { made, groups, events, next } = committer();
  void made.submit([command], true);
  expect(made.busy).toBe(true);
  expect([groups, events]).toEqual([[], ['pause']]);
  void made.submit([command]);
  expect(groups).toEqual([2]);
  await next();
  await next();
  void made.submit([command], true);
  await next();
  expect(groups).toEqual([2, 1]);
  expect(events).toEqual(['pause', 'sync', 'pause', 'sync']);
});
