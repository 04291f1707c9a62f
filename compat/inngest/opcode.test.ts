import { expect, test } from 'vitest';
import { readOpcodes } from './opcode.ts';

const STEP = { op: 'StepRun', id: 'a', name: 'a', data: 1 };

test('an operation that says nothing, as the Go SDK adds one without an id, makes no group of a step', () => {
  expect(readOpcodes([STEP, { op: 'None', id: '', name: '', opts: null, data: null }])).toEqual([STEP]);
});

test('any other operation has an id', () => {
  for (const id of ['', undefined, 1, 'x'.repeat(257)]) expect(readOpcodes([STEP, { op: 'StepRun', id }])).toBeNull();
});
