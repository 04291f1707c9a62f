import { expect, it } from 'vitest';
import { EngineError } from '../../core/model/errors.ts';
import { acceptedWithoutAnswer, isUnreachable } from './accept-later.ts';

it('tells an object that cannot be reached from a refusal', () => {
  expect(isUnreachable(Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true }))).toBe(true);
  expect(isUnreachable(Object.assign(new Error('reset'), { retryable: true }))).toBe(true);
  expect(isUnreachable(new EngineError('unknown-task', 'no'))).toBe(false);
  expect(isUnreachable(new Error('bug'))).toBe(false);
});

it('accepts in advance only what names its own ids', () => {
  const event = { name: 'a', ts: 1, body: '{}' };
  expect(acceptedWithoutAnswer([{ type: 'ingest', events: [{ ...event, id: 'x' }] }])).toEqual([
    { type: 'ingest', ids: ['x'], runs: [] },
  ]);
  expect(acceptedWithoutAnswer([{ type: 'ingest', events: [event] }])).toBeNull();
  expect(acceptedWithoutAnswer([{ type: 'start', spec: { task: 't', input: null } }])).toBeNull();
  expect(acceptedWithoutAnswer([{ type: 'cancel', run: 'r' }])).toBeNull();
});
